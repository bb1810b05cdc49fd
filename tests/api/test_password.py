"""Passwords over HTTP: the policy anybody may read, kept on every path by which one is chosen."""

from uuid import uuid4

import pytest

from tests import office as offices
from tests import servers
from tests.serving import PASSWORD

pytestmark = pytest.mark.anyio

NEW = "another correct horse battery"


def refused(answer) -> list[tuple[str, str]]:
    """Where and by which codes."""
    assert (answer.status_code, answer.json()["code"]) == (422, "password.refused"), answer.text
    return [(error["pointer"], error["code"]) for error in answer.json()["errors"]]


async def test_the_rules_in_force_are_for_anybody_to_read(office):
    answer = await office.stranger.get("/auth/password-policy")
    assert answer.status_code == 200
    rules = answer.json()
    assert rules.pop("common_passwords") > 50_000
    assert rules == {
        "min_length": 12,
        "max_length": 256,
        "needs_upper": False,
        "needs_lower": False,
        "needs_digit": False,
        "needs_special": False,
        "needs_digit_or_special": False,
        "special_characters": "",
        "forbidden_characters": "",
        "refuses": ["common", "own_name", "product_name", "unchanged"],
    }
    assert (await office.stranger.get("/auth/password-policy?x=1")).status_code == 400


async def test_other_rules_are_a_matter_of_settings(cluster, nats_server):
    with servers.database(cluster) as addresses:
        changed = {
            "registration": "open",
            "password_min_length": 8,
            "password_max_length": 29,
            "password_needs": ("digit", "special"),
            "password_special_characters": "@?!%$^+",
            "password_forbidden_characters": " ,`|/\\{}[]*:;",
        }
        async with offices.opened(addresses, nats_server.url, **changed) as office:
            rules = (await office.stranger.get("/auth/password-policy")).json()
            assert (rules["min_length"], rules["max_length"], rules["needs_digit"]) == (8, 29, True)
            assert rules["forbidden_characters"] == " ,`|/\\{}[]*:;"
            body = {"email": "anna@example.org", "first_name": "Anna", "last_name": "Berg"}
            async with office.nothing_stored():
                answer = await office.stranger.post(
                    "/auth/register", json=body | {"password": "no digits, and a comma" + "x" * 10}
                )
            assert {code for _, code in refused(answer)} == {
                *("too_long", "needs_digit", "needs_special", "forbidden_character"),
            }
            made = await office.stranger.post("/auth/register", json=body | {"password": "@pplepie94"})
            assert made.status_code == 201
            for password, code in [
                *(
                    ("Anna.Berg@1", "own_name"),
                    ("anna@example.org1", "own_name"),
                    ("P@ssw0rd2024", "common"),
                ),
            ]:
                other = {**body, "email": f"{uuid4()}@example.org"} if code == "common" else body
                answer = await office.stranger.post("/auth/register", json=other | {"password": password})
                assert ("/password", code) in refused(answer), password


@pytest.mark.parametrize(
    ("new", "why"),
    [
        *(("short", ["too_short"]), ("x" * 257, ["too_long"]), (PASSWORD, ["unchanged"])),
        *(("Password1234", ["common"]), ("chancery-2026", ["product_name"]), ("ZoePapadaki1", ["own_name"])),
        *(("s-4711s-47112", ["own_name"]), ("zoe", ["too_short"])),
    ],
)
async def test_a_new_password_of_ones_own_keeps_the_rules(office, new, why):
    staff = f"s-4711{uuid4().hex[:4]}"
    zoe = await office.user(first_name="Zoe", last_name="Papadaki", staff_number=staff)
    async with office.nothing_stored():
        answer = await zoe.client.post(
            "/me/password", json={"old": PASSWORD, "new": new.replace("s-4711", staff)}
        )
    assert refused(answer) == [("/new", code) for code in why]
    await office.signed_in(zoe.email)


async def test_the_old_password_in_other_code_points_is_still_the_old_one(office):
    anna = await office.user()
    ligature = "e\u0301ﬁn de siècle"
    assert (
        await anna.client.post("/me/password", json={"old": PASSWORD, "new": ligature})
    ).status_code == 200
    same = "éfin de sie\u0300cle"
    answer = await anna.client.post("/me/password", json={"old": same, "new": same})
    assert refused(answer) == [("/new", "unchanged")]
    await office.signed_in(anna.email, same)


async def test_a_password_that_staff_gives_keeps_the_rules_too(office):
    zoe = await office.user(first_name="Zoe", last_name="Papadaki")
    for password, why in [
        *(("zoe", ["too_short"]), ("papadaki2026", ["own_name"]), ("qwertyuiopasdf", ["common"])),
        (PASSWORD, ["unchanged"]),
    ]:
        async with office.nothing_stored():
            answer = await office.admin.post(f"/users/{zoe.id}/password", json={"password": password})
        assert refused(answer) == [("/password", code) for code in why]
    given = await office.admin.post(f"/users/{zoe.id}/password", json={"password": NEW})
    assert (given.status_code, "temporary_password" in given.json()) == (200, False)
    client = await office.signed_in(zoe.email, NEW)
    assert (await client.get("/organisations")).json()["code"] == "password_change_required"


async def test_the_rules_are_told_only_to_who_may_give_a_password(office):
    moderator, admin = (
        await office.user(role="moderator"),
        await office.user(role="admin", first_name="Zinaida"),
    )
    user = await office.user()
    unknown = await moderator.client.post(f"/users/{uuid4()}/password", json={"password": "short"})
    above = await moderator.client.post(f"/users/{admin.id}/password", json={"password": "Zinaida2026"})
    without = await user.client.post(f"/users/{admin.id}/password", json={"password": "short"})
    assert (unknown.status_code, above.json()["code"], without.json()["code"]) == (
        404,
        "user.above_you",
        "forbidden",
    )
    assert "errors" not in above.json()


@pytest.mark.parametrize("field", ["old", "new"])
async def test_a_password_has_at_most_1024_bytes(office, field):
    anna = await office.user()
    body = {"old": PASSWORD, "new": NEW, field: "🐎" * 256 + "x"}
    answer = await anna.client.post("/me/password", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "body.invalid")
    assert [(e["pointer"], e["code"]) for e in answer.json()["errors"]] == [(f"/{field}", "too_long")]


async def test_256_emoji_are_a_password(office):
    anna = await office.user()
    new = "🐎" * 255 + "🐴"
    assert (await anna.client.post("/me/password", json={"old": PASSWORD, "new": new})).status_code == 200
    await office.signed_in(anna.email, new)
    wrong = await office.stranger.post("/auth/login", json={"login": anna.email, "password": "🐎" * 256})
    assert wrong.status_code == 401, "the last character counts"
