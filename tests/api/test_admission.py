"""Who may have an account: strangers where it is open, addresses at the listed domains, and one first administrator."""

import asyncio
from uuid import uuid4

import httpx
import pytest

from infrastructure.first_start import first_admin
from tests import office as offices
from tests import servers
from tests.serving import ADMIN, PASSWORD, hashed

pytestmark = pytest.mark.anyio

STRANGE = "correct horse battery staple of a stranger"
REFUSED = [
    "anna@evilexample.org",
    "anna@example.org.evil.net",
    "anna@sub.example.org",
    "anna@example.com",
    "anna@еxample.org",
    "anna@ｅxample.org",
    "anna@xn--xample-9uf.org",
]
MALFORMED = [
    "anna@example.org.",
    "anna@@example.org",
    "example.org",
    "anna@example.org\n",
    "anna@ example.org",
]


@pytest.fixture(scope="module")
async def office(cluster, nats_server):
    """Open to strangers whose address is at one of two domains."""
    with servers.database(cluster) as addresses:
        changed = {"registration": "open", "email_domains": ("example.org", "milk.example")}
        async with offices.opened(addresses, nats_server.url, **changed) as opened:
            yield opened


def person(**fields) -> dict:
    return {"email": f"{uuid4()}@example.org", "first_name": "Anna", "last_name": "Berg", **fields}


def code(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


async def register(office, **fields) -> httpx.Response:
    return await office.stranger.post("/auth/register", json=person(password=STRANGE, **fields))


async def test_a_stranger_opens_an_account_and_signs_in(office):
    email = f"Anna.{uuid4()}@EXAMPLE.org"
    made = await register(office, email=email, patronymic="Ivanovna")
    assert made.status_code == 201
    assert set(made.json()) == {"id", "version", "position"}
    client = await office.signed_in(email.lower(), STRANGE)
    me = (await client.get("/me")).json()
    assert (me["id"], me["email"], me["role"]) == (made.json()["id"], email, "user")
    assert (me["display_name"], me["must_change_password"]) == ("Berg Anna Ivanovna", False)


@pytest.mark.parametrize("fields", [{}, {"first_name": "Other"}, {"password": "yet another passphrase"}])
async def test_who_registers_a_known_address_learns_nothing_of_its_owner_and_changes_nothing(office, fields):
    """Seed B answered with the row of the account, password and all."""
    anna = await office.user(first_name="Anna", last_name="Berg")
    async with office.nothing_stored():
        for email in (anna.email, anna.email.upper(), f" {anna.email} "):
            answer = await office.stranger.post(
                "/auth/register", json=person(password=STRANGE, email=email) | fields
            )
            assert code(answer) == (409, "user.email_taken")
            assert set(answer.json()) == {"type", "title", "status", "detail", "code", "request_id"}
            assert str(anna.id) not in answer.text
            assert "location" not in answer.headers
    await office.signed_in(anna.email)


async def test_of_many_who_register_one_address_at_once_one_has_it(office):
    email = f"{uuid4()}@example.org"
    answers = await asyncio.gather(*(register(office, email=email) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"first_name": ""}, "/first_name"),
        ({"first_name": "x" * 129}, "/first_name"),
        ({"last_name": None}, "/last_name"),
        ({"patronymic": ""}, "/patronymic"),
        ({"email": "a" * 250 + "@example.org"}, "/email"),
        ({"role": "admin"}, "/role"),
        ({"department_id": str(uuid4())}, "/department_id"),
        *(({"email": email}, "/email") for email in MALFORMED if not email.endswith("\n")),
    ],
)
async def test_what_a_stranger_may_not_say_is_refused(office, fields, pointer):
    async with office.nothing_stored():
        answer = await register(office, **fields)
    assert code(answer) == (400, "body.invalid")
    assert [error["pointer"] for error in answer.json()["errors"]] == [pointer]


@pytest.mark.parametrize("email", REFUSED)
async def test_only_the_very_domains_that_are_listed_are_admitted(office, email):
    anna, email = await office.user(), email.replace("anna", uuid4().hex)
    async with office.nothing_stored():
        for answer in (
            await register(office, email=email),
            await office.admin.post("/users", json=person(email=email)),
            await office.admin.patch(f"/users/{anna.id}", json={"email": email}),
        ):
            assert code(answer) == (422, "user.email_domain_refused")
            assert [error["pointer"] for error in answer.json()["errors"]] == ["/email"]


async def test_the_case_of_a_listed_domain_does_not_count(office):
    assert (await register(office, email=f"{uuid4()}@MILK.Example")).status_code == 201


async def test_who_may_not_change_an_address_is_told_that_and_not_of_domains(office):
    anna, other = await office.user(), await office.user()
    async with office.nothing_stored():
        body = {"email": "anna@elsewhere.net"}
        assert code(await other.client.patch(f"/users/{anna.id}", json=body)) == (403, "forbidden")
        assert code(await office.admin.patch(f"/users/{uuid4()}", json=body)) == (404, "user.unknown")


@pytest.mark.parametrize(
    "became",
    [
        ("PATCH", "", {"email": "boss@example.org"}),
        ("POST", "/role", {"role": "user"}),
        ("POST", "/block", {"reason": "left"}),
        ("POST", "/deactivate", {}),
        ("POST", "/password", {"password": "quite another passphrase"}),
    ],
    ids=lambda became: became[1] or "email",
)
async def test_the_first_administrator_is_made_once_whatever_becomes_of_him(database, nats_server, became):
    """Seed B made a second one, or failed to start, once the first had changed."""
    method, path, body = became
    async with offices.opened(database, nats_server.url) as office:
        me = (await office.admin.get("/me")).json()
        assert me["email"] == ADMIN
        successor = await office.user(role="admin")
        answer = await successor.client.request(method, f"/users/{me['id']}{path}", json=body)
        assert answer.status_code == 200, answer.text
        async with office.nothing_stored():
            await first_admin(office.system)
            await asyncio.gather(*(first_admin(office.system) for _ in range(3)))
        login = {"login": ADMIN, "password": PASSWORD}
        answer = await office.stranger.post("/auth/login", json=login)
        assert (answer.status_code == 200) is (path == "/role")


async def test_two_processes_that_start_at_once_make_one_administrator(office):
    email = f"{uuid4()}@example.org"
    ensure = office.system.users.ensure_admin
    secret = await hashed()
    made = await asyncio.gather(*(ensure(email.upper(), secret) for _ in range(4)))
    assert len([each for each in made if each is not None]) == 1
    async with office.nothing_stored():
        assert await ensure(email, secret) is None
