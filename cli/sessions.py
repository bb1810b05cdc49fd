"""The demo's sessions: one whose refresh token was stolen ends for both, one of somebody blocked ends at once."""

import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

from cli.people import Person, bearer
from cli.story import API, SOON, Broken, Story

AT_ONCE = 1.0
"""Seconds within which whoever is blocked must be out."""
AT_WORK = 10
"""Answers after which somebody is at work."""


def steal(story: Story, claire: Person) -> None:
    story.step(
        "A refresh token is stolen: each is good once, and an old one that comes back ends the session"
    )
    pair = claire.signs_in(story).json()
    stolen = pair["refresh_token"]
    for _ in range(2):
        pair = _refreshed(story, pair["refresh_token"])
    story.shows("Claire signs in elsewhere and refreshes twice; a copy of her first refresh token was made")
    thief = story.call("POST", "/auth/refresh", 401, json={"refresh_token": stolen}).json()
    story.shows(f"the thief presents the copy: 401 {thief['code']}")
    owner = story.call("POST", "/auth/refresh", 401, json={"refresh_token": pair["refresh_token"]}).json()
    access = story.call("GET", "/me", 401, headers=bearer(pair)).json()
    story.shows(f"the newest token: 401 {owner['code']}; her access token: 401 {access['code']}")
    over = story.soon(
        lambda: _ended(story, claire, pair["session_id"]), "her list of sessions says it is over"
    )
    story.holds(
        over["close_reason"] == "refresh_reused",
        f"her list of sessions says of it: {over['state']}, {over['close_reason']}; her other session goes on",
    )


def _ended(story: Story, claire: Person, session_id: str) -> Mapping[str, Any] | None:
    wanted = {"show_archived": "true"}
    listed = story.call("GET", "/auth/sessions", 200, params=wanted, headers=claire.headers).json()["data"]
    return next((each for each in listed if each["id"] == session_id and each["close_reason"]), None)


def _refreshed(story: Story, token: str) -> dict[str, str]:
    pair: dict[str, str] = story.call("POST", "/auth/refresh", 200, json={"refresh_token": token}).json()
    return pair


def block(story: Story, eve: Person) -> None:
    story.step("Somebody is blocked while she is at work")
    pair = eve.signs_in(story).json()
    with ThreadPoolExecutor(1) as elsewhere:
        at_work = Event()
        asking = elsewhere.submit(_out_at, story, bearer(pair), at_work)
        at_work.wait(SOON)
        sent = time.perf_counter()
        story.call("POST", f"/users/{eve.id}/block", 200, json={"reason": "A stranger."})
        asked, out, code = asking.result()
    took = (out - sent) * 1000
    story.holds(
        out - sent < AT_ONCE,
        f"Eve asks all the while: {asked} answers, then 401 {code}, {took:,.0f} ms after the block was sent",
    )
    story.figure("from the block to the first 401", f"{took:,.0f} ms")
    write = story.call("PATCH", "/me", 401, json={"first_name": "?"}, headers=eve.headers).json()
    token = {"refresh_token": pair["refresh_token"]}
    refresh = story.call("POST", "/auth/refresh", 401, json=token).json()
    again = eve.signs_in(story, 403).json()
    story.shows(f"in her other session a command: 401 {write['code']}")
    story.shows(f"her refresh token: 401 {refresh['code']}; her password: 403 {again['code']}")


def _out_at(story: Story, headers: Mapping[str, str], at_work: Event) -> tuple[int, float, str]:
    """How often a session was answered, when it was refused, and the code."""
    asked, started = 0, time.perf_counter()
    while (answer := story.client.get(f"{API}/me", headers=headers)).status_code == 200:
        asked += 1
        if asked == AT_WORK:
            at_work.set()
        if time.perf_counter() - started > SOON:
            break
    if answer.status_code != 401:
        raise Broken(f"who is blocked is answered still: {answer.status_code}")
    return asked, time.perf_counter(), answer.json()["code"]
