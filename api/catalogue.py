"""Every code this process can answer with, derived from the classes, and the page that explains each."""

from collections.abc import Iterator
from html import escape
from typing import Any

from msgspec import Struct

from api.errors import access_status, status_of, title
from api.problems import Problem, meaning
from application.access import AccessError
from domain.shared import DomainError


class Entry(Struct, frozen=True, kw_only=True):
    """One code: what it is called, what it means, what to do."""

    code: str
    status: int
    title: str
    meaning: str
    remedy: str


_REMEDIES = {
    400: "Correct the request; sent again unchanged it fails again. `errors` points at each place.",
    401: "Sign in again, or prove your password again when the code says so, then repeat the request.",
    403: "Ask for the right that `required` names; repeating the request changes nothing.",
    404: "Check the id or number. You may also lack the right to know of the record.",
    405: "Use one of the methods in the Allow header.",
    409: "Read the record again: its state, or another record, stands in the way. `detail` says which.",
    412: "Read the record again, look at what changed, and repeat with the new version in If-Match.",
    413: "Send less at once.",
    415: "Send `content-type: application/json`, or a file of a type that is taken: `detail` says which.",
    422: "The request was understood, but a rule says no. `detail` and `errors` say which.",
    423: "A legal hold forbids it until it is released.",
    429: "Wait for the seconds in Retry-After.",
    500: "Repeat it with the same Idempotency-Key; if it stays, report the request id.",
    503: "Repeat it after the seconds in Retry-After, with the same Idempotency-Key.",
}


def entry(refusing: type[Any]) -> Entry:
    """The entry of a class of refusals: a Problem, a DomainError or an AccessError."""
    status = refusal_status(refusing)
    return Entry(
        code=refusing.code,
        status=status,
        title=title(refusing.code),
        meaning=meaning(refusing),
        remedy=_REMEDIES.get(status, _REMEDIES[400 if status < 500 else 500]),
    )


def refusal_status(refusing: type[Any]) -> int:
    """The status that a class of refusals is answered with."""
    if issubclass(refusing, DomainError):
        return status_of(refusing.kind)
    if issubclass(refusing, AccessError):
        return access_status(refusing)
    return int(refusing.status)


def catalogue() -> dict[str, Entry]:
    """All entries by code. Raises ValueError when two classes give one code different statuses."""
    found: dict[str, Entry] = {}
    for refusing in (one for base in (Problem, DomainError, AccessError) for one in _below(base)):
        one = entry(refusing)
        if found.setdefault(one.code, one).status != one.status:
            raise ValueError(f"{one.code} is answered with {found[one.code].status} and with {one.status}")
    return dict(sorted(found.items()))


def _below(base: type[Any]) -> Iterator[type[Any]]:
    for one in base.__subclasses__():
        if "code" in vars(one):
            yield one
        yield from _below(one)


_PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>{title}</title><style>
body{{font:1rem/1.6 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem}}
code{{background:#eee;padding:.1em .3em}}td{{padding:.3rem 1rem .3rem 0;vertical-align:top}}</style></head>
<body>{body}</body></html>
"""


def error_page(one: Entry) -> bytes:
    """The page behind a problem's `type`."""
    body = (
        f"<h1>{escape(one.title)}</h1><p><code>{escape(one.code)}</code>, status {one.status}</p>"
        f"<p>{escape(one.meaning)}</p><h2>What to do</h2><p>{escape(one.remedy)}</p>"
        '<p><a href="../errors">All codes</a></p>'
    )
    return _PAGE.format(title=escape(one.title), body=body).encode()


def catalogue_page() -> bytes:
    """All codes in one table."""
    rows = "".join(
        f'<tr><td><a href="errors/{escape(one.code)}">{escape(one.code)}</a></td><td>{one.status}</td>'
        f"<td>{escape(one.meaning)}</td></tr>"
        for one in catalogue().values()
    )
    return _PAGE.format(title="Errors", body=f"<h1>Errors</h1><table>{rows}</table>").encode()
