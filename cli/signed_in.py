"""The API of a running Chancery, asked as a person who signs in: by environment or at a prompt, never by argv."""

import os
import time
from typing import Any

import httpx
import rich_click as click

from infrastructure.settings import Settings
from infrastructure.settings_sources import PREFIX, running_stack

API = "/api/v1"
URL, LOGIN, PASSWORD = f"{PREFIX}URL", f"{PREFIX}LOGIN", f"{PREFIX}PASSWORD"
"""Environment variables: where it is, and who asks."""
PATIENCE = 30
"""Seconds that something which is away for a moment is waited for."""


class SignedIn:
    """One session, renewed when its access token has run out."""

    def __init__(self, url: str, login: str, password: str) -> None:
        """Raises ClickException when nobody answers, or the password is wrong."""
        self._client = httpx.Client(base_url=url.rstrip("/") + API, timeout=httpx.Timeout(30, write=None))
        self._url, self._written = url, ""
        self._take(self._asked("POST", "/auth/login", json={"login": login, "password": password}))

    def ask(self, method: str, path: str, *expected: int, **said: Any) -> httpx.Response:
        """What was written before can be read. Raises ClickException with what the API said, unless as expected."""
        if method == "GET" and self._written:
            said = {**said, "headers": {"X-Min-Position": self._written}}
        answer = self._asked(method, path, **said)
        if answer.status_code == 401:
            self._take(self._asked("POST", "/auth/refresh", json={"refresh_token": self._refresh}))
            answer = self._asked(method, path, **said)
        for _ in range(PATIENCE):
            if answer.status_code != 503 or "files" in said:  # a file has been read to its end
                break
            time.sleep(1)
            answer = self._asked(method, path, **said)
        if answer.status_code not in expected:
            raise click.ClickException(_told(answer))
        self._written = answer.headers.get("x-event-position", self._written)
        return answer

    def close(self) -> None:
        self._client.close()

    def _asked(self, method: str, path: str, **said: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **said)
        except httpx.HTTPError as error:
            raise click.ClickException(f"{self._url} does not answer: {error}") from None

    def _take(self, answer: httpx.Response) -> None:
        if answer.status_code != 200:
            raise click.ClickException(_told(answer))
        pair = answer.json()
        self._refresh: str = pair["refresh_token"]
        self._client.headers["authorization"] = f"Bearer {pair['access_token']}"


def signed_in(settings: Settings) -> SignedIn:
    """At CHANCERY_URL, else where this data directory's `up` serves; as CHANCERY_LOGIN, or whoever answers a prompt."""
    found = os.environ.get(URL) or running_stack(settings.data_dir).get("url")
    login = os.environ.get(LOGIN) or click.prompt("Login", err=True)
    password = os.environ.get(PASSWORD) or click.prompt("Password", hide_input=True, err=True)
    return SignedIn(found or settings.base_url, login, password)


def _told(answer: httpx.Response) -> str:
    try:
        problem = answer.json()
    except ValueError:
        return f"{answer.status_code} from {answer.url.path}"
    errors = [f"\n  {each['pointer']}: {each['detail']}" for each in problem.get("errors", ())]
    return f"{problem.get('detail', answer.status_code)} ({problem.get('code')}){''.join(errors)}"
