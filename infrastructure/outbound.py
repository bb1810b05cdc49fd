"""Requests of ours to servers of others: short, without redirects, and never more read than was bargained for."""

import asyncio
import ssl

import httpx

SECONDS = 3.0
"""In which the whole answer must be there."""


class Unreachable(Exception):
    """It did not answer as it should. `answered`: it is there, but said something of no use, with that `status`."""

    def __init__(self, detail: str, *, answered: bool, status: int | None = None) -> None:
        super().__init__(detail)
        self.answered, self.status = answered, status


def client() -> httpx.AsyncClient:
    """The system's trust store, no proxy or password from the environment, no compression that could swell."""
    return httpx.AsyncClient(
        verify=ssl.create_default_context(),
        trust_env=False,
        follow_redirects=False,
        timeout=SECONDS,
        headers={"accept": "application/json", "accept-encoding": "identity"},
    )


async def fetched(client: httpx.AsyncClient, url: str, largest: int) -> bytes:
    """The body of a 200. Raises Unreachable."""
    try:
        async with asyncio.timeout(SECONDS), client.stream("GET", url) as answer:
            if answer.status_code != 200 or "content-encoding" in answer.headers:
                raise Unreachable(
                    f"{url} answered {answer.status_code}", answered=True, status=answer.status_code
                )
            return await _read(answer, largest)
    except (httpx.HTTPError, httpx.InvalidURL, TimeoutError, OSError) as problem:
        raise Unreachable(f"{url}: {type(problem).__name__}", answered=False) from None


async def _read(answer: httpx.Response, largest: int) -> bytes:
    body = b""
    async for part in answer.aiter_raw():
        body += part
        if len(body) > largest:
            raise Unreachable(f"{answer.url} answered more than {largest} bytes", answered=True)
    return body
