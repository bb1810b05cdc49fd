"""The demo's programs: one is refused for each reason there is, keeps what somebody may do, and asks about the past."""

from collections.abc import Mapping, Sequence
from time import perf_counter
from typing import Any

import httpx

from cli.people import Person
from cli.story import API, Story

ELSEWHERE, LONG_AGO = "192.0.2.0/24", "2020-01-01T00:00:00Z"
TERMS: Sequence[tuple[str, Mapping[str, object]]] = (
    ("when its time has run out", {"expires_at": LONG_AGO}),
    ("from another web page than its own", {"allowed_origins": ["https://shop.example.org"]}),
    ("from another address than its own", {"allowed_ips": [ELSEWHERE]}),
    ("on a route that is not on its list", {"allowed_paths": ["/contracts/*"]}),
)
"""What is refused, and the terms that refuse it."""


class Program:
    """An API client: a program that asks with a key of its own."""

    def __init__(self, story: Story, http: httpx.Client, name: str) -> None:
        made = story.call("POST", "/api-clients", 201, json={"name": name}).json()
        self._story, self._http = story, http
        self.id: str = made["id"]
        self.keys = {"X-Client-Key": made["client_key"], "X-API-Key": made["api_key"]}

    def asks(self, method: str, path: str, expected: int, **more: Any) -> Any:
        """The answer. Raises Broken when it has another status."""
        headers = {**self.keys, **more.pop("headers", {})}
        ask = lambda: self._http.request(method, API + path, headers=headers, **more)  # noqa: E731
        return self._story.expect(ask, expected).json()


def ask_as_programs(story: Story, marc: Person, signed: Mapping[str, Any]) -> None:
    """`signed`: the audit log's entry of Marc's signature."""
    with httpx.Client(base_url=story.stack.url, timeout=30) as http:
        shop, other = (Program(story, http, name) for name in ("Shop", "Another program"))
        _refused(story, shop, other)
        _follows(story, shop, marc, signed["allowed_by"])
        _looks_back(story, shop, marc, signed)


def _refused(story: Story, shop: Program, other: Program) -> None:
    story.step("A program gets a key of its own, and is refused for each reason there is")
    path, mine = "/organisations", f"/api-clients/{shop.id}"

    def refused(why: str, status: int, **headers: str) -> None:
        story.shows(f"{why}: {status} {shop.asks('GET', path, status, headers=headers)['code']}")

    refused("under a name nobody has", 401, **{"X-Client-Key": "nobody"})
    refused("with the key of another program", 401, **{"X-API-Key": other.keys["X-API-Key"]})
    story.call("POST", f"{mine}/disable", 200, json={})
    refused("while it is disabled", 401)
    story.call("POST", f"{mine}/enable", 200, json={})
    for why, terms in TERMS:
        story.call("PATCH", mine, 200, json=terms)
        refused(why, 401 if "expires_at" in terms else 403, Origin="https://elsewhere.example.org")
        story.call("PATCH", mine, 200, json=dict.fromkeys(terms))
    nothing = shop.asks("POST", path, 403, json={"full_name": "?"})
    story.shows(f"let in, and without a right: 403 {nothing['code']}, it takes {nothing['required']}")
    right = {"scope_type": "global", "scope_id": "*", "module": "organisation", "action": "view"}
    story.call("POST", "/grants", 201, json={"subject": {"type": "client", "id": shop.id}, **right})
    found = shop.asks("GET", path, 200)["data"]
    story.shows(f"with the right, by a grant like anybody's: 200, {len(found)} organisations")


def _follows(story: Story, shop: Program, marc: Person, grant: str) -> None:
    story.step("That program keeps what Marc may do, and the feed tells it of a revocation")
    place = f"/internal/permissions/{marc.id}/snapshot"
    snapshot = shop.asks("GET", place, 200)
    kept = {_right(each) for each in snapshot["permissions"]}
    after = snapshot["position"]
    story.holds(
        "contract:sign at global/*" in kept, f"its snapshot, true at {after}: {', '.join(sorted(kept))}"
    )
    sent = perf_counter()
    story.call("POST", f"/grants/{grant}/revoke", 200, json={"reason": "Marc leaves the board."})
    newest = {"X-Min-Position": str(story.position)}
    feed = shop.asks("GET", f"/permissions/changes?after={after}", 200, headers=newest)["data"]
    took = (perf_counter() - sent) * 1000
    for change in (each for each in feed if each["sub"] == marc.id):
        removed = {_right(each) for each in change["removed"]}
        kept = kept - removed | {_right(each) for each in change["added"]}
        story.shows(
            f"the feed after {after}: {change['topic']} at {change['position']} takes {', '.join(removed)}"
        )
    again = {_right(each) for each in shop.asks("GET", place, 200)["permissions"]}
    story.holds(kept == again, f"what it keeps now is what a new snapshot says: {', '.join(sorted(kept))}")
    story.figure("from a revocation to whoever follows the feed", f"{took:,.0f} ms")


def _right(held: Mapping[str, str]) -> str:
    return f"{held['module']}:{held['action']} at {held['scope_type']}/{held['scope_id']}"


def _looks_back(story: Story, shop: Program, marc: Person, signed: Mapping[str, Any]) -> None:
    story.step("Could Marc sign on that day, and by which grant?")

    def could(moment: int | str | None) -> tuple[bool, Any]:
        question = {
            "subject": {"type": "user", "id": marc.id},
            "action": {"name": "contract:sign"},
            "resource": {"type": "contract", "id": "2026-lighting"},
            "context": {"explain": True} | ({} if moment is None else {"as_of": moment}),
        }
        answer = shop.asks("POST", "/access/v1/evaluation", 200, json=question)
        return answer["decision"], answer["context"]

    decision, context = could(signed["recorded_at"])
    grant = context["explain"]["grant"]
    giver = story.read(f"/users/{grant['given_by']['id']}")["display_name"]
    story.holds(decision, f"at {signed['recorded_at']}, when it was signed: yes, by grant {context['grant']}")
    story.shows(f"given by {giver} at {grant['given_at']}, proved by entry {grant['position']} of the log")
    decision, context = could(grant["position"] - 1)
    story.holds(not decision, f"one event before that grant: no, {context['reason']}")
    decision, context = could(None)
    ended = context["explain"]["nearest"]["ended"]
    story.holds(
        not decision and context["grant"] == grant["grant"],
        f"now: no, {context['reason']} at {ended['at']}, entry {ended['position']}: {ended['reason']!r}",
    )
