"""Guessing passwords over HTTP: whoever guesses waits, whoever knows gets in, and nobody learns who exists."""

import asyncio
import re
from collections import Counter
from contextlib import asynccontextmanager
from pathlib import Path
from statistics import median
from time import perf_counter
from uuid import uuid4

import pytest
from argon2 import PasswordHasher
from msgspec.structs import replace

from infrastructure.security.passwords import Passwords
from tests import office as offices
from tests import servers
from tests.serving import ADMIN, PASSWORD, caller, settings, whole

pytestmark = pytest.mark.anyio

COOKIE = "__Host-chancery_device"


@pytest.fixture(scope="module")
async def office(cluster, nats_server):
    """As behind a proxy, which tells who asks; nobody is stopped for asking often."""
    changed = {"trusted_proxies": ("127.0.0.1/32",), "stranger_requests_per_minute": 1_000_000}
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **changed) as opened:
            yield opened


@pytest.fixture
async def anna(office):
    return await office.user(staff_number=f"s-{uuid4().hex[:8]}")


@pytest.fixture
async def attacker(office):
    """Knows nobody, is known by nobody."""
    async with caller(office.transport) as client:
        yield client


async def login(client, name, password=PASSWORD, *, address=None, device=None):
    headers = {} if address is None else {"x-forwarded-for": address}
    headers |= {} if device is None else {"cookie": f"other=1; {COOKIE}={device}"}
    answer = await client.post("/auth/login", json={"login": name, "password": password}, headers=headers)
    client.cookies.clear()
    return answer


def said(answer) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


def device_of(answer) -> str:
    return re.search(f"{COOKIE}=([^;]+)", answer.headers["set-cookie"])[1]


def it_waits_for_long(office):
    """However slow this machine is now."""
    office.owner.execute(
        "update sign_in_failures set opens_at = now() + interval '1 minute' where opens_at > 'epoch'"
    )


def waiting_is_over(office):
    office.owner.execute("update sign_in_failures set opens_at = now()")


@asynccontextmanager
async def counted(monkeypatch):
    """How many passwords are really verified."""
    verify, count = PasswordHasher.verify, Counter()

    def counting(self, *given):
        count["verified"] += 1
        return verify(self, *given)

    monkeypatch.setattr(PasswordHasher, "verify", counting)
    yield count
    monkeypatch.setattr(PasswordHasher, "verify", verify)


# --- who waits ----------------------------------------------------------------------------------------------


async def test_an_attacked_login_waits_and_its_owner_gets_in_from_where_he_is_known(office, anna, attacker):
    device = device_of(await login(attacker, anna.email, address="203.0.113.1"))
    guesses = [
        login(attacker, anna.email, f"guess {n}", address=f"10.{n % 250}.{n // 250}.9") for n in range(1_000)
    ]
    answers = Counter()
    for start in range(0, 1_000, 50):
        answers.update(map(said, await asyncio.gather(*guesses[start : start + 50])))
    assert answers[(401, "auth.invalid_credentials")] in range(5, 13), (
        "five, and one after each wait that ended"
    )
    assert set(answers) == {(401, "auth.invalid_credentials"), (429, "rate_limited")}

    it_waits_for_long(office)
    without = await login(attacker, anna.email, address="203.0.113.1")
    assert said(without) == (429, "rate_limited")
    assert 1 <= int(without.headers["retry-after"]) <= 900
    known = await login(attacker, anna.email, address="10.1.0.9", device=device)
    assert known.status_code == 200, "from the attacker's own network, even"
    assert device_of(known) == device, "the device stays the one it was"
    waiting_is_over(office)
    assert (await login(attacker, anna.email, address="203.0.113.1")).status_code == 200


async def test_who_waits_is_told_the_same_whether_there_is_such_a_login_or_not(
    office, anna, attacker, monkeypatch
):
    nobody = f"{uuid4()}@example.org"
    async with counted(monkeypatch) as count:
        for name in (anna.email, nobody):
            for _ in range(5):
                assert said(await login(attacker, name, "wrong"))[0] == 401
        assert count["verified"] == 10, "as much work for nobody as for somebody"
        it_waits_for_long(office)
        async with office.nothing_stored():
            known, unknown = await login(attacker, anna.email), await login(attacker, nobody)
        assert count["verified"] == 10, "and none for who must wait"
    bodies = [{k: v for k, v in each.json().items() if k != "request_id"} for each in (known, unknown)]
    assert bodies[0] == bodies[1]
    own = ("x-request-id", "retry-after")
    headers = [{k: v for k, v in each.headers.items() if k not in own} for each in (known, unknown)]
    assert headers[0] == headers[1]
    assert {each.headers["retry-after"] for each in (known, unknown)} <= {"57", "58", "59", "60"}
    assert (known.status_code, "set-cookie" in known.headers) == (429, False)


async def test_parallel_guesses_are_counted_exactly(office, anna, attacker, monkeypatch):
    for _ in range(4):
        await login(attacker, anna.email, "wrong")
    async with counted(monkeypatch) as count:
        answers = await asyncio.gather(*(login(attacker, anna.email, f"guess {n}") for n in range(10)))
    assert count["verified"] == 1
    assert Counter(each.status_code for each in answers) == {401: 1, 429: 9}


async def test_a_right_password_is_never_counted(office, anna, attacker):
    for _ in range(2):
        for _ in range(4):
            assert (await login(attacker, anna.email, "wrong")).status_code == 401
        assert (await login(attacker, anna.email)).status_code == 200
    answers = await asyncio.gather(*(login(attacker, anna.email) for _ in range(20)))
    assert {each.status_code for each in answers} == {200}


async def test_case_and_blanks_make_no_other_login_and_the_staff_number_is_one(office, anna, attacker):
    (number,) = office.owner.execute(
        "select value from claims where owner = %s and kind = 'user.staff_number'", (anna.id,)
    ).fetchone()
    assert (await login(attacker, f" {number.upper()} ")).status_code == 200
    for name in (number, number.upper(), f" {number}", f"{number} ", f"\t{number}"):
        assert (await login(attacker, name, "wrong")).status_code == 401
    assert (await login(attacker, number)).status_code == 429
    assert (await login(attacker, anna.email)).status_code == 200, "counted by what was typed in"


async def test_one_guess_for_each_of_many_logins_closes_the_network(office, anna, attacker):
    spray = "198.51.100.7"
    office.owner.execute("delete from sign_in_failures")
    await login(attacker, f"{uuid4()}@example.org", "wrong", address=spray)
    office.owner.execute("update sign_in_failures set failures = 100 where kind = 'network'")
    await login(attacker, f"{uuid4()}@example.org", "wrong", address=spray)
    assert said(await login(attacker, f"{uuid4()}@example.org", "wrong", address="198.51.100.99"))[0] == 429
    assert (await login(attacker, anna.email, address="198.51.101.7")).status_code == 200


async def test_who_is_blocked_or_has_no_password_costs_as_much(office, anna, attacker, monkeypatch):
    await office.admin.post(f"/users/{anna.id}/block", json={"reason": "Left"})
    outside = await office.user()
    office.owner.execute("delete from credentials where user_id = %s", (outside.id,))
    async with counted(monkeypatch) as count:
        blocked, none = await login(attacker, anna.email, "wrong"), await login(attacker, outside.email)
    assert count["verified"] == 2
    assert said(blocked) == said(none) == (401, "auth.invalid_credentials")
    right = await login(attacker, anna.email)
    assert said(right) == (403, "auth.account_blocked")
    assert "set-cookie" not in right.headers


async def test_unknown_and_wrong_take_the_same_time(office, anna, attacker):
    took = {True: [], False: []}
    for n in range(40):
        name = anna.email if n % 2 else f"{uuid4()}@example.org"
        begun = perf_counter()
        assert (await login(attacker, name, "wrong")).status_code == 401
        took[n % 2 == 1].append(perf_counter() - begun)
        office.owner.execute("delete from sign_in_failures")
    known, unknown = median(took[True]), median(took[False])
    assert abs(known - unknown) < 0.5 * max(known, unknown), "an argon2 more or less would be far more"


# --- known devices ------------------------------------------------------------------------------------------


async def test_a_sign_in_leaves_a_cookie_that_opens_nothing(office, anna, attacker):
    answer = await login(attacker, anna.email)
    cookie = answer.headers["set-cookie"]
    attributes = {"Path=/", "Max-Age=31536000", "HttpOnly", "SameSite=Strict", "Secure"}
    assert set(cookie.split("; ")[1:]) == attributes
    me = await attacker.get("/me", headers={"cookie": f"{COOKIE}={device_of(answer)}"})
    assert said(me) == (401, "missing_bearer_token")


async def test_on_plain_loopback_http_the_cookie_is_one_that_a_browser_keeps(cluster, nats_server):
    with servers.database(cluster) as addresses:
        plain = replace(settings(addresses.app, nats_server.url), public_url="http://127.0.0.1:8400")
        async with whole(plain) as (_, transport), caller(transport) as client:
            answer = await client.post("/auth/login", json={"login": ADMIN, "password": PASSWORD})
    assert re.fullmatch(
        r"chancery_device=[\w.-]+; Path=/; Max-Age=31536000; HttpOnly; SameSite=Strict",
        answer.headers["set-cookie"],
    )


async def test_a_device_is_known_for_its_own_login_only(office, anna, attacker):
    boris = await office.user()
    device = device_of(await login(attacker, boris.email))
    for _ in range(5):
        await login(attacker, anna.email, "wrong", device=device)
    assert (await login(attacker, anna.email, device=device)).status_code == 429
    assert (await login(attacker, anna.email, device="x" * 300)).status_code == 429
    other = device_of(await login(attacker, boris.email, device=device))
    assert other == device


async def test_a_stolen_device_cookie_gives_five_guesses_and_no_more(office, anna, attacker):
    device = device_of(await login(attacker, anna.email))
    answers = [await login(attacker, anna.email, "wrong", device=device) for _ in range(8)]
    assert [each.status_code for each in answers] == [401] * 5 + [429] * 3
    assert (await login(attacker, anna.email)).status_code == 200, "the login itself has not been guessed at"


# --- proving it again ---------------------------------------------------------------------------------------


async def test_step_up_and_a_change_of_password_wait_with_the_login(office, anna, attacker):
    for path, body in [
        *(("/auth/step-up", {"password": "wrong"}), ("/me/password", {"old": "wrong", "new": "x" * 20})),
        *(("/auth/step-up", {"password": "wrong"}), ("/me/password", {"old": "wrong", "new": "x" * 20})),
        ("/auth/step-up", {"password": "wrong"}),
    ]:
        async with office.nothing_stored():
            assert said(await anna.client.post(path, json=body)) == (401, "auth.invalid_credentials")
    waits = [
        await anna.client.post("/auth/step-up", json={"password": PASSWORD}),
        await anna.client.post("/me/password", json={"old": PASSWORD, "new": "another correct horse"}),
        await login(attacker, anna.email),
    ]
    assert {said(each) for each in waits} == {(429, "rate_limited")}
    waiting_is_over(office)
    assert (await anna.client.post("/auth/step-up", json={"password": PASSWORD})).status_code == 200
    assert (await login(attacker, anna.email)).status_code == 200


# --- the work itself ----------------------------------------------------------------------------------------


async def test_a_hash_of_other_parameters_is_made_anew_at_the_next_sign_in(office, anna, attacker):
    old = PasswordHasher(time_cost=1, memory_cost=8, parallelism=1).hash(PASSWORD)
    office.owner.execute("update credentials set password_hash = %s where user_id = %s", (old, anna.id))
    stored = "select password_hash from credentials where user_id = %s"
    assert (await login(attacker, anna.email, "wrong")).status_code == 401
    assert office.owner.execute(stored, (anna.id,)).fetchone() == (old,)
    before = await office.head()
    assert (await login(attacker, anna.email)).status_code == 200
    assert await office.head() == before + 1, "the session, and nothing else"
    (new,) = office.owner.execute(stored, (anna.id,)).fetchone()
    assert new.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert (await login(attacker, anna.email)).status_code == 200
    assert office.owner.execute(stored, (anna.id,)).fetchone() == (new,)


@pytest.mark.parametrize(
    ("password", "status"),
    [
        *(("x" * 1_024, 401), ("x" * 1_025, 400), ("🐎" * 256, 401), ("🐎" * 257, 400)),
        *(("x\0y", 400), ("\ud800", 400), ("", 400), (" ", 401)),
    ],
)
async def test_what_can_be_no_password_is_not_verified(office, attacker, monkeypatch, password, status):
    body = b'{"login": "%s@example.org", "password": %s}' % (uuid4().hex.encode(), _escaped(password))
    async with counted(monkeypatch) as count, office.nothing_stored():
        answer = await attacker.post(
            "/auth/login", content=body, headers={"content-type": "application/json"}
        )
    assert answer.status_code == status, answer.text
    assert count["verified"] == (status == 401)


def _escaped(text: str) -> bytes:
    """JSON in ASCII, half surrogates included."""
    units = text.encode("utf-16-be", "surrogatepass")
    return b'"%s"' % b"".join(b"\\u%02x%02x" % (units[n], units[n + 1]) for n in range(0, len(units), 2))


async def test_a_megabyte_of_password_is_refused(attacker):
    answer = await attacker.post("/auth/login", json={"login": "a@example.org", "password": "x" * (1 << 20)})
    assert answer.status_code == 413


def resident() -> int:
    """Bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


async def test_a_flood_of_sign_ins_is_bounded_and_leaves_other_routes_alone(office, anna, attacker):
    logins = [f"{uuid4()}@example.org" for _ in range(500)]
    small, before = Passwords(threads=1, waiting=4), resident()
    proof = office.system.sessions._proof
    proof._passwords, usual = small, proof._passwords
    try:
        flood = [
            asyncio.ensure_future(login(attacker, name, "x", address=f"10.0.{n % 250}.1"))
            for n, name in enumerate(logins)
        ]
        me = await anna.client.get("/me")  # how late, bench/signin.py tells
        answers = await asyncio.gather(*flood)
    finally:
        proof._passwords = usual
        small.close()
    assert me.status_code == 200
    codes = Counter(map(said, answers))
    assert set(codes) == {(401, "auth.invalid_credentials"), (503, "unavailable"), (503, "overloaded")}
    assert codes[(401, "auth.invalid_credentials")] >= 5
    assert {each.headers.get("retry-after") for each in answers if each.status_code == 503} == {"1"}
    assert resident() - before < 100 << 20, (
        "one thread's 19 MiB, and what 500 requests take; not 500 times 19"
    )
    assert (await login(attacker, anna.email)).status_code == 200
    refused = office.owner.execute("select count(*) from sign_in_failures where pending > 0").fetchone()
    assert refused == (0,), "who was sent away has guessed nothing"
