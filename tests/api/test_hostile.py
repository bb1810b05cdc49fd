"""Bad input gets a clear answer, and neither loses nor stores anything."""

import base64
import json
import time
from datetime import UTC, datetime
from uuid import UUID, uuid4

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from structlog.testing import capture_logs

from tests.serving import ADMIN, PASSWORD, sign_in

pytestmark = pytest.mark.anyio

JSON = {"Content-Type": "application/json"}
DEEP = 100_000


@pytest.fixture(autouse=True)
async def going_on(office):
    """After each attack the next honest request succeeds."""
    yield
    assert (await office.admin.get("/me")).status_code == 200


# --- bodies -------------------------------------------------------------------------------------------------

BODIES = {
    "nothing": b"",
    "cut": b'{"full_name":"A"',
    "two": b'{"full_name":"A"}{"full_name":"B"}',
    "trailing": b'{"full_name":"A"},',
    "single quotes": b"{'full_name':'A'}",
    "a comment": b'{"full_name":"A"} // so',
    "a key twice": b'{"full_name":"A","full_name":"B"}',
    "a key twice, below": b'{"full_name":"A","identifiers":{"inn":"7707083893","inn":"7707083893"}}',
    "a key twice, spelt otherwise": b'{"full_name":"A","full\\u005fname":"B"}',
    "NUL": b'{"full_name":"A\\u0000B"}',
    "a bare NUL": b'{"full_name":"A\x00B"}',
    "NUL in a key": b'{"full_name":"A","a\\u0000":1}',
    "not UTF-8": b'{"full_name":"\xff\xfe"}',
    "an encoded surrogate": b'{"full_name":"\xed\xa0\x80"}',
    "half a surrogate pair": b'{"full_name":"\\ud800"}',
    "UTF-16": '{"full_name":"A"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"full_name":"A"}',
    "NaN": b'{"full_name":NaN}',
    "infinite": b'{"full_name":1e999}',
    "a number of 10,000 digits": b'{"full_name":' + b"9" * 10_000 + b"}",
    "deep arrays": b"[" * DEEP,
    "deep objects": b'{"a":' * DEEP + b"1" + b"}" * DEEP,
    "deep below": b'{"full_name":"A","addresses":' + b'{"legal":' * 40 + b"1" + b"}" * 41,
    "an array": b'[{"full_name":"A"}]',
    "a text": b'"full_name"',
    "null": b"null",
    "100,000 keys": b'{"full_name":"A",' + b",".join(b'"k%d":1' % n for n in range(100_000))[:900_000] + b"}",
    "a text for a number's place": b'{"full_name":7}',
    "an unknown field": b'{"full_name":"A","is_admin":true}',
    "an unknown field below": b'{"full_name":"A","identifiers":{"is_admin":true}}',
    "a prototype": b'{"full_name":"A","__proto__":{"is_admin":true}}',
}


@pytest.mark.parametrize("what", BODIES)
async def test_a_body_that_is_not_what_it_should_be(office, what):
    since = time.process_time()
    async with office.nothing_stored():
        answer = await office.admin.post("/organisations", content=BODIES[what], headers=JSON)
    assert answer.status_code == 400
    assert answer.json()["code"] in ("body.malformed", "body.invalid", "body.missing")
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(answer.content) < 60_000
    assert time.process_time() - since < 1.0


@pytest.mark.parametrize("size", [1_048_577, 5_000_000])
async def test_a_huge_body_is_not_read_to_its_end(office, size):
    async def parts():
        for _ in range(size // 65_536 + 1):
            yield b" " * 65_536

    async with office.nothing_stored():
        for content in (b" " * size, parts()):
            answer = await office.admin.post("/organisations", content=content, headers=JSON)
            assert (answer.status_code, answer.json()["code"]) == (413, "body.too_large")


async def test_an_event_of_70_kilobytes_is_refused_and_leaves_no_trace(office):
    text = "é" * 10_000
    large = {
        "full_name": "Large",
        "addresses": {kind: {"text": text} for kind in ("legal", "factual", "mailing")},
    }
    large["addresses"]["legal"]["complement"] = "é" * 255
    key = {"Idempotency-Key": uuid4().hex}
    place = await office.organisation()
    async with office.nothing_stored():
        for answer in (
            await office.admin.post("/organisations", json=large, headers=key),
            await office.admin.patch(place, json=large),
        ):
            assert (answer.status_code, answer.json()["code"]) == (413, "event.too_large")
    smaller = {"full_name": "Large", "addresses": {"legal": {"text": text}}}
    assert (await office.admin.post("/organisations", json=smaller, headers=key)).status_code == 201


@pytest.mark.parametrize(
    "kind",
    [
        None,
        "text/plain",
        "text/json",
        "application/xml",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/json; charset=utf-16",
        "application/jsonp",
        "application/problem+json",
    ],
)
async def test_only_json_is_taken_for_json(office, kind):
    headers = {} if kind is None else {"Content-Type": kind}
    async with office.nothing_stored():
        answer = await office.admin.post("/organisations", content=b'{"full_name":"A"}', headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "media_type.unsupported")


async def test_packed_json_is_not_unpacked(office):
    async with office.nothing_stored():
        answer = await office.admin.post(
            "/organisations", content=b"\x1f\x8b", headers={**JSON, "Content-Encoding": "gzip"}
        )
    assert answer.status_code == 415


async def test_one_answers_json_whatever_is_accepted(office):
    answer = await office.admin.get("/me", headers={"Accept": "image/png"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")


# --- addresses ----------------------------------------------------------------------------------------------

REFS = {
    "a word": "xyz",
    "an upper case id": "01981C5E-7A3B-7C11-9D55-2F6B8A4E1C07",
    "an id without dashes": "01981c5e7a3b7c119d552f6b8a4e1c07",
    "an id in braces": "%7B01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07%7D",
    "a urn": "urn:uuid:01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07",
    "nobody's id": "01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07",
    "a slash": "12%2F2026",
    "dots": "%2e%2e%2fme",
    "300 letters": "x" * 300,
    "other digits": "%D9%A3",
    "a quote": "%27%20or%201=1--",
    "a semicolon": "a;b=c",
    "a star": "*",
}


@pytest.mark.parametrize("what", REFS)
async def test_a_wrong_id_names_nothing(office, what):
    place = f"/organisations/{REFS[what]}"
    async with office.nothing_stored():
        answers = [
            await office.admin.get(place),
            await office.admin.get(f"{place}?as_of=v1"),
            await office.admin.get(f"{place}/history"),
            await office.admin.patch(place, json={"short_name": "A"}),
            await office.admin.post(f"{place}/archive"),
            await office.admin.get(f"/users/{REFS[what]}"),
            await office.admin.delete(f"/auth/sessions/{REFS[what]}"),
        ]
    assert {answer.status_code for answer in answers} == {404}


@pytest.mark.parametrize(
    "path", ["/organisations/%00", "/organisations/%ff", "/organisations/%0a", "/me?x=%00", "/me?%ff=1"]
)
async def test_an_address_that_no_text_has_is_malformed(office, path):
    answer = await office.admin.get(path)
    assert (answer.status_code, answer.json()["code"]) in {
        (400, "path.malformed"),
        (400, "query.malformed"),
        (400, "query.unknown_parameter"),
    }


@pytest.mark.parametrize(
    "query", ["x=1", "dry-run=true", "dry_run=perhaps", "dry_run=true&dry_run=false", "as_of=v1"]
)
async def test_a_query_that_was_not_declared_is_refused(office, query):
    place = await office.organisation()
    async with office.nothing_stored():
        for answer in (
            await office.admin.post(f"/organisations?{query}", json={"full_name": "A"}),
            await office.admin.patch(f"{place}?{query}", json={"short_name": "A"}),
            await office.stranger.post(f"/auth/login?{query}", json={"login": ADMIN, "password": PASSWORD}),
        ):
            assert answer.status_code == 400
            assert answer.json()["errors"]


FILTERS = {
    "ambiguous": ("inn=1 OR inn=2 AND kpp=3", "filter_ambiguous"),
    "deep": ("(" * 5000 + "inn=1" + ")" * 5000, None),
    "negated deeply": ("NOT " * 400 + "inn=1", None),
    "long": ("inn=" + "1" * 3000, None),
    "many terms": (" OR ".join(f"inn={n}" for n in range(300)), None),
    "open": ("(inn=1", None),
    "closed": ("inn=1)", None),
    "injected": ("inn=1'; drop table stored_events; --", None),
    "a column beside": ("view:secret", "filter_unknown_field"),
    "another table's": ("principals.role=admin", None),
    "a wrong type": ("started_on=tomorrow", None),
    "a number too large": ("created_at>" + "9" * 400, None),
    "a NUL": ("inn=\0", "query.malformed"),
    "emptiness": ("inn=", None),
    "an operator": (">=", None),
}


@pytest.mark.parametrize("what", FILTERS)
async def test_a_filter_that_is_none(office, what):
    asked, code = FILTERS[what]
    since = time.process_time()
    answer = await office.admin.get("/organisations", params={"filter": asked})
    assert answer.status_code == 400
    assert code is None or answer.json()["code"] == code
    assert answer.json()["code"].startswith(("filter_", "query."))
    assert len(answer.content) < 5000
    assert time.process_time() - since < 1.0


@pytest.mark.parametrize(
    "value", ["'", '\\"', "%", "_", "' or 1=1 --", "\\'; delete from read.organisation", "\u202e", "{}", "%s"]
)
async def test_a_filters_value_is_only_a_value(office, value):
    answer = await office.admin.get(
        "/organisations", params={"filter": f'name="{value}"', "include_total": "true"}
    )
    assert (answer.status_code, answer.json()["total"]) == (200, 0)


# --- tokens -------------------------------------------------------------------------------------------------


def packed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


@pytest.fixture
async def good(office):
    return (await sign_in(office.stranger))["Authorization"].removeprefix("Bearer ")


def forgeries(good: str, jwks: dict) -> dict[str, str]:
    """Tokens that are almost right."""
    header, claims = jwt.get_unverified_header(good), jwt.decode(good, options={"verify_signature": False})
    head, body, signature = good.split(".")
    foreign = ec.generate_private_key(ec.SECP256R1())
    public = jwt.PyJWK(jwks["keys"][0]).key.public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )

    def signed(*, typ: str = "at+jwt", key=foreign, **changed) -> str:
        return jwt.encode(
            {**claims, **changed}, key, algorithm="ES256", headers={"kid": header["kid"], "typ": typ}
        )

    unsigned = {name: f"{packed({**header, 'alg': name})}.{body}." for name in ("none", "NonE", "ES256")}
    mac = base64.urlsafe_b64encode(b"x" * 32).decode().rstrip("=")
    return {
        **unsigned,
        "HS256 with our public key": f"{packed({**header, 'alg': 'HS256'})}.{body}.{mac}",
        "a public key as secret": f"{packed({'alg': 'HS256', 'typ': 'at+jwt', 'kid': public.decode()})}.{body}.{mac}",
        "foreign": signed(),
        "foreign, another user": signed(sub=str(uuid4())),
        "a refresh type": signed(typ="rt+jwt"),
        "an id token": signed(typ="JWT"),
        "another kid": f"{packed({**header, 'kid': '../../etc/passwd'})}.{body}.{signature}",
        "its own key": f"{packed({**header, 'jwk': jwks['keys'][0]})}.{body}.{signature}",
        "a key elsewhere": f"{packed({**header, 'jku': 'http://127.0.0.1:1/keys'})}.{body}.{signature}",
        "critical": f"{packed({**header, 'crit': ['x'], 'x': 1})}.{body}.{signature}",
        "unencoded": f"{packed({**header, 'b64': False})}.{body}.{signature}",
        "another body": f"{head}.{packed({**claims, 'sub': str(uuid4())})}.{signature}",
        "not json": f"{head}.{base64.urlsafe_b64encode(b'x').decode()}.{signature}",
        "deep": f"{packed(0)[:0]}{base64.urlsafe_b64encode(b'[' * 6000).decode()}.{body}.{signature}",
        "padded": good + "==",
        "with a newline inside": good + "%0A",
        "twice": f"{good}, Bearer {good}",
        "two parts": f"{head}.{body}",
        "huge": "x" * 1_000_000,
        "empty": "",
        "a refresh token": "rt1_" + "A" * 50,
    }


async def test_no_token_but_ours_lets_anybody_in(office, good):
    jwks = (await office.stranger.get("http://testserver/.well-known/jwks.json")).json()
    place = await office.organisation()
    async with office.nothing_stored():
        for what, token in forgeries(good, jwks).items():
            headers = {"Authorization": f"Bearer {token}"}
            read = await office.stranger.get(place, headers=headers)
            command = await office.stranger.patch(place, json={"short_name": "A"}, headers=headers)
            for answer in (read, command):
                assert (answer.status_code, answer.json()["code"]) == (401, "invalid_bearer_token"), what
                assert answer.headers["www-authenticate"] == 'Bearer error="invalid_token"'
    assert (await office.stranger.get(place, headers={"Authorization": f"bearer {good}"})).status_code == 200


async def test_a_token_ends_with_its_time(office):
    user = await office.user()
    session = (await user.client.get("/auth/sessions")).json()["data"][0]
    issue, now = office.system.tokens.issue, int(time.time())

    async def asked(**at) -> int:
        moment = datetime.fromtimestamp(at["at"], UTC)
        token = issue(user.id, UUID(session["id"]), moment, now=moment)
        return (await office.stranger.get("/me", headers={"Authorization": f"Bearer {token}"})).status_code

    assert await asked(at=now) == 200
    assert await asked(at=now - 601) == 200, "clocks may differ by half a minute"
    assert await asked(at=now - 632) == 401
    assert await asked(at=now + 3600) == 401


@pytest.mark.parametrize("given", ["", "Basic YTpi", "Bearer", "Token x", "bearer"])
async def test_without_a_token_one_is_asked_for(office, given):
    answer = await office.stranger.get("/me", headers={"Authorization": given})
    assert answer.status_code == 401
    assert answer.json()["code"] in ("missing_bearer_token", "invalid_bearer_token")
    assert answer.headers["www-authenticate"].startswith("Bearer")


# --- the log ------------------------------------------------------------------------------------------------


async def test_a_500_says_nothing_and_leaves_a_trace(office, monkeypatch):
    async def broken(*_, **__):
        raise RuntimeError("the detail that only the log may know")

    monkeypatch.setattr(office.system.organisations, "_execute", broken)
    headers = {"X-Request-Id": "traced-7", "Idempotency-Key": uuid4().hex}
    async with office.nothing_stored():
        with capture_logs() as lines:
            answer = await office.admin.post(
                "/organisations", json={"full_name": "Secretive"}, headers=headers
            )
    assert answer.status_code == 500
    assert answer.json() == {
        "type": "/docs/errors/internal",
        "title": "Internal",
        "status": 500,
        "detail": "Something broke on our side. The request id leads to the log line.",
        "code": "internal",
        "request_id": "traced-7",
    }
    (trace,) = [line for line in lines if line["event"] == "unhandled"]
    assert (trace["log_level"], trace["request_id"]) == ("error", "traced-7")
    assert "the detail that only the log may know" in repr(trace["exc_info"])
    assert "Secretive" not in repr(lines)
    monkeypatch.undo()
    assert (
        await office.admin.post("/organisations", json={"full_name": "A"}, headers=headers)
    ).status_code == 201


async def test_no_log_line_knows_a_password_or_a_token(office):
    secret = "a very secret pass phrase"
    with capture_logs() as lines:
        pair = (await office.stranger.post("/auth/login", json={"login": ADMIN, "password": PASSWORD})).json()
        bearer = {"Authorization": f"Bearer {pair['access_token']}"}
        await office.stranger.post("/auth/login", json={"login": secret, "password": secret})
        await office.stranger.post(
            f"/auth/login?password={secret}", json={"login": ADMIN, "password": secret}
        )
        await office.stranger.post("/auth/login", content=f'{{"login":"{secret}"', headers=JSON)
        await office.stranger.post("/auth/step-up", json={"password": secret}, headers=bearer)
        await office.stranger.post("/auth/refresh", json={"refresh_token": pair["refresh_token"]})
        await office.stranger.get(f"/organisations/{secret}", headers=bearer)
        await office.stranger.get("/me", headers={"Authorization": f"Bearer {secret}", "X-API-Key": secret})
    told = repr(lines)
    assert len(lines) >= 8
    for hidden in (
        PASSWORD,
        secret,
        secret.replace(" ", "%20"),
        pair["access_token"],
        pair["refresh_token"],
        ADMIN,
    ):
        assert hidden not in told
    stored = office.owner.execute(
        "select string_agg(convert_from(state, 'utf8'), '') from stored_events"
    ).fetchone()[0]
    for hidden in (PASSWORD, secret, pair["refresh_token"], ADMIN):
        assert hidden not in stored
