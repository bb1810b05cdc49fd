"""Access tokens: only one of our own, in its one form, for this very API, in its ten minutes."""

import asyncio
import base64
import json
import time
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import jwt
import psycopg
import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from infrastructure.personal_data import Wrapping
from infrastructure.security.signing_keys import KeyRing, public_jwk, thumbprint
from infrastructure.security.strict_jwt import InvalidToken
from infrastructure.security.tokens import Tokens
from infrastructure.tasks import end
from tests.signing import Clock, signing_keys, tokens_of

pytestmark = pytest.mark.anyio
ISSUER = "https://chancery.example"


@pytest.fixture
async def tokens(dsn):
    """Of a running process: it looks at the keys again and again."""
    async with signing_keys(dsn, Clock()) as keys:
        await keys.ensure()
    made = await tokens_of(dsn, ISSUER)
    watching = asyncio.create_task(made.ring.run())
    yield made
    await end(watching)


def b64(raw: bytes | str) -> str:
    return base64.urlsafe_b64encode(raw.encode() if isinstance(raw, str) else raw).decode().rstrip("=")


def parts(token):
    """Header, claims and signature, the first two as values."""
    header, claims, signature = token.split(".")
    return *(json.loads(base64.urlsafe_b64decode(each + "==")) for each in (header, claims)), signature


def issued(tokens, **changes):
    return tokens.issue(uuid4(), uuid4(), datetime.now(UTC), **changes)


def signed(tokens, header=None, claims=None, without=()):
    """Signed by our own key, whatever stands in it. `claims` may be raw text."""
    _, key = tokens.ring.signer
    own_header, own_claims, _ = parts(issued(tokens))
    header = json.dumps({**own_header, **(header or {})}) if not isinstance(header, str) else header
    if not isinstance(claims, str):
        claims = json.dumps({k: v for k, v in {**own_claims, **(claims or {})}.items() if k not in without})
    message = f"{b64(header)}.{b64(claims)}".encode()
    return f"{message.decode()}.{b64(jwt.algorithms.ECAlgorithm(jwt.algorithms.ECAlgorithm.SHA256).sign(message, key))}"


def refused(tokens, token):
    with pytest.raises(InvalidToken) as error:
        tokens.verify(token)
    assert token[:40] not in str(error.value) or len(token) < 5
    return str(error.value)


async def test_an_issued_token_says_whose_it_is_and_nothing_of_rights(tokens):
    user, session, proved = uuid4(), uuid4(), datetime.now(UTC)
    token = tokens.issue(user, session, proved)
    said = tokens.verify(token)
    assert (said.user_id, said.session_id) == (user, session)
    header, claims, _ = parts(token)
    assert header == {"typ": "at+jwt", "alg": "ES256", "kid": tokens.ring.signer[0]}
    assert claims.keys() == {"iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "client_id", "auth_time"}
    assert claims["exp"] - claims["iat"] == 600
    assert claims["auth_time"] == int(proved.timestamp())
    assert len(claims["jti"]) == 32


async def test_a_stranger_verifies_with_the_published_keys(tokens):
    published = jwt.PyJWKSet.from_json(tokens.ring.jwks.decode())
    token = issued(tokens)
    key = published[parts(token)[0]["kid"]]
    assert jwt.decode(token, key, audience=f"{ISSUER}/api/v1", issuer=ISSUER)["sid"]
    (jwk,) = json.loads(tokens.ring.jwks)["keys"]
    assert jwk.keys() == {"crv", "kty", "x", "y", "kid", "use", "alg"}, "and no secret among them"


def test_a_key_is_named_by_its_thumbprint():
    # RFC 7638 3.1 has an RSA key; the same rule over its three required members.
    n = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiF"
        "V4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c"
        "7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF"
        "44-csFCur-kEgU8awapJzKnqDKgw"
    )
    assert thumbprint({"kty": "RSA", "n": n, "e": "AQAB"}) == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    assert list(public_jwk(generate_private_key(SECP256R1()).public_key())) == ["crv", "kty", "x", "y"]


async def test_no_algorithm_but_ours(tokens):
    _, claims, signature = issued(tokens).split(".")
    for alg in ("none", "NonE", "HS256", "ES384", "RS256", "", None, ["ES256"]):
        forged = b64(json.dumps({"typ": "at+jwt", "alg": alg, "kid": tokens.ring.signer[0]}))
        refused(tokens, f"{forged}.{claims}.{signature}")
        refused(tokens, f"{forged}.{claims}.")
    public = tokens.ring.public[tokens.ring.signer[0]].public_bytes(
        Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
    )
    mac = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    message = f"{b64(json.dumps({'typ': 'at+jwt', 'alg': 'HS256', 'kid': tokens.ring.signer[0]}))}.{claims}"
    refused(tokens, f"{message}.{b64(mac.sign(message.encode(), public))}")


async def test_a_header_is_ours_to_the_letter(tokens):
    for header in (
        {"typ": "JWT"},
        {"typ": "rt+jwt"},
        {"typ": None},
        {"crit": ["x"]},
        {"b64": False},
        {"jku": "http://127.0.0.1:1/keys"},
        {"x5u": "http://127.0.0.1:1/keys"},
        {"x5c": ["MIIB"]},
        {"jwk": {"kty": "EC"}},
        {"kid": "../../etc/passwd"},
        {"kid": "' or 1=1"},
        {"kid": ["a"]},
        '{"alg":"ES256","typ":"at+jwt"}',
        '["ES256"]',
    ):
        refused(tokens, signed(tokens, header=header))


async def test_a_signature_does_not_excuse_wrong_claims(tokens):
    now = int(time.time())
    for claims in (
        {"iss": ISSUER + "/"},
        {"iss": ISSUER.upper()},
        {"iss": [ISSUER]},
        {"aud": "https://other.example"},
        {"aud": [f"{ISSUER}/api/v1"]},
        {"aud": [f"{ISSUER}/api/v1", "https://other.example"]},
        {"sub": "not a uuid"},
        {"sub": 7},
        {"exp": True},
        {"exp": str(now + 60)},
        {"exp": now + 60.5},
        {"exp": 10**40},
        {"exp": now - 31},
        {"nbf": now + 40},
        {"iat": now + 3600},
        {"jti": 5},
        "[]",
        "null",
        '{"exp":NaN}',
        '{"exp":1e400}',
        '{"exp":Infinity}',
        "[" * 4000,
        '{"a":' * 600 + "1" + "}" * 600,
        '{"exp":' + "9" * 5000 + "}",
        "\ufeff{}",
    ):
        token = signed(tokens, claims=claims)
        begun = time.process_time()
        refused(tokens, token)
        assert time.process_time() - begun < 0.05
    assert tokens.verify(signed(tokens))


async def test_every_claim_is_required(tokens):
    assert tokens.verify(signed(tokens))
    for claim in ("iss", "sub", "aud", "exp", "iat", "nbf", "jti", "sid", "client_id", "auth_time"):
        refused(tokens, signed(tokens, without=(claim,)))
        refused(tokens, signed(tokens, claims={claim: None}))


async def test_a_key_twice_is_refused(tokens):
    _, claims, _ = parts(issued(tokens))
    text = json.dumps(claims)
    assert tokens.verify(signed(tokens, claims=text))
    assert "twice" in refused(tokens, signed(tokens, claims=f'{text[:-1]},"sub":"{uuid4()}"}}'))
    header = json.dumps({"alg": "ES256", "typ": "at+jwt", "kid": tokens.ring.signer[0]})
    assert "twice" in refused(tokens, signed(tokens, header=f'{header[:-1]},"alg":"ES256"}}'))


async def test_there_is_one_spelling_of_a_token(tokens):
    token = issued(tokens)
    assert tokens.verify(token)
    twin = token[:-1] + chr(ord(token[-1]) + 1)  # other bits behind the last byte
    for other in (
        token + "==",
        token + "\n",
        token + " ",
        " " + token,
        token + ".",
        token.replace(".", "%2E"),
        twin,
    ):
        refused(tokens, other)
    for other in ("", ".", "..", "a.b", "a.b.c.d", "é.é.é", "\0.\0.\0", token[:-4], "a" * 1_000_000):
        refused(tokens, other)


async def test_a_changed_byte_anywhere_is_seen(tokens):
    token = issued(tokens)
    for place in range(0, len(token), 7):
        changed = "A" if token[place] != "A" else "B"
        refused(tokens, token[:place] + changed + token[place + 1 :])


async def test_a_token_ends_with_its_time_even_when_it_is_remembered(tokens, monkeypatch):
    token = issued(tokens)
    expires_at = tokens.verify(token).expires_at
    assert tokens.verify(token) is tokens.verify(token), "remembered"
    monkeypatch.setattr(time, "time", lambda: expires_at + 29.0)
    assert tokens.verify(token)
    monkeypatch.setattr(time, "time", lambda: expires_at + 30.0)
    assert refused(tokens, token) == "expired"
    refused(tokens, issued(tokens, now=datetime.now(UTC) - timedelta(seconds=631)))


async def test_ten_thousand_key_ids_that_nobody_knows_cost_no_look_at_the_keys(tokens, owner_dsn):
    foreign = KeyRing("", Wrapping(b"k" * 32))
    key = generate_private_key(SECP256R1())
    _, claims, _ = issued(tokens).split(".")
    foreign._signer = (thumbprint(public_jwk(key.public_key())), key)
    looked, look = 0, tokens.ring.look

    async def counted():
        nonlocal looked
        looked += 1
        await look()

    tokens.ring.look = counted
    refused(tokens, Tokens(foreign, issuer=ISSUER).issue(uuid4(), uuid4(), datetime.now(UTC)))
    signature = issued(tokens).rpartition(".")[2]
    for number in range(10_000):
        forged = b64(json.dumps({"typ": "at+jwt", "alg": "ES256", "kid": f"key-{number}"}))
        with pytest.raises(InvalidToken, match="not ours"):
            tokens.verify(f"{forged}.{claims}.{signature}")
    assert looked == 0, "nothing but the clock makes it look"
    assert tokens.verify(issued(tokens)), "and who is honest notices nothing"


async def test_a_planted_key_signs_nothing(dsn, tokens):
    """Who can write the table but has no key-encryption key cannot make a key of his own be believed."""
    kid = tokens.ring.signer[0]
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update signing_keys set wrapped = %s where kid = %s", (b"planted" * 20, kid))
        connection.execute(
            "insert into signing_keys (kid, wrapped) values (%s, %s)", ("no event says so", b"planted" * 20)
        )
    with pytest.raises(InvalidTag):
        await tokens_of(dsn, ISSUER)
    with pytest.raises(InvalidTag):
        await tokens_of(dsn, ISSUER, Wrapping(b"k" * 32))
