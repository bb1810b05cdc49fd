"""The keys of outside issuers: fetched from a real server that fails in every way, remembered, and never confused."""

import asyncio
import json
import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa

from application.provider import ProviderUnavailable
from infrastructure import outbound
from infrastructure.personal_data import Wrapping
from infrastructure.postgres import open_pool
from infrastructure.security import jwks
from infrastructure.security.issuer import Issuer, issuer_of
from infrastructure.security.jwks import STALE, WISH, IssuerKeys, keys_of
from infrastructure.security.kept_keys import KeptKeys
from tests.issuer import jwk, of, provider

pytestmark = pytest.mark.anyio


class Clock:
    now = time.time()

    def __call__(self) -> float:
        return self.now


class Forgetful:
    async def load(self, issuer):
        return None

    async def keep(self, issuer, raw):
        pass


@pytest.fixture
async def idp():
    async with provider() as made:
        yield made


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
async def keys(idp, clock):
    client = outbound.client()
    yield IssuerKeys(Issuer(url=idp.url), client, Forgetful(), clock=clock)
    await client.aclose()


async def look(keys):
    await keys._look(adding=False)


async def test_keys_are_found_by_discovery(idp, keys):
    idp.discovery = {"issuer": idp.url, "jwks_uri": f"{idp.url}jwks/"}
    key = await keys.key("first")
    assert key.algorithm == "RS256"
    assert idp.asked == [
        "GET /application/o/portal/.well-known/openid-configuration",
        "GET /application/o/portal/jwks/",
    ]


@pytest.mark.parametrize(
    "said",
    [
        {},
        {"issuer": "https://somebody.example/", "jwks_uri": "https://somebody.example/keys"},
        {"issuer": True},
        {"issuer": "SELF", "jwks_uri": "http://10.1.2.3/keys"},
        {"issuer": "SELF", "jwks_uri": "file:///etc/passwd"},
    ],
)
async def test_a_discovery_of_no_use_leaves_authentiks_place(idp, keys, said):
    idp.discovery = {**said, "issuer": idp.url} if said.get("issuer") == "SELF" else said
    assert await keys.key("first")
    assert idp.fetches() == 1


async def test_an_address_that_is_set_is_not_discovered(idp):
    client = outbound.client()
    keys = IssuerKeys(issuer_of(f"{idp.url} jwks={idp.url}jwks/"), client, Forgetful())
    assert await keys.key("first")
    assert idp.asked == ["GET /application/o/portal/jwks/"]
    await client.aclose()


async def test_unknown_ids_however_many_cause_one_look_in_thirty_seconds(idp, keys, clock):
    await look(keys)
    found = await asyncio.gather(*(keys.key(f"random-{number}") for number in range(1000)))
    for number in range(1000):
        found.append(await keys.key(f"later-{number}"))
    assert set(found) == {None}
    assert idp.fetches() == 2
    assert await keys.key("first"), "and known ones are found meanwhile"
    clock.now += WISH
    await keys.key("random")
    assert idp.fetches() == 3


async def test_a_rotated_key_is_found_when_its_first_token_comes(idp, keys):
    await look(keys)
    idp.rotate()
    assert await keys.key("second")
    assert await keys.key("first"), "the one before it stays"
    assert keys.edition == 2


async def test_a_known_id_keeps_its_key_until_the_next_regular_look(idp, keys):
    await look(keys)
    before = await keys.key("first")
    idp.rotate()
    idp.keys = [jwk(idp.key, "first"), jwk(idp.key, "second")]
    assert await keys.key("second")
    assert await keys.key("first") == before
    await look(keys)
    assert (await keys.key("first")).jwk != before.jwk


async def hang(*_):
    await asyncio.Event().wait()


def always(answer):
    async def behaves(*_):
        return answer

    return behaves


OUTAGES = {
    "it fails": always(of({}, 500)),
    "it sends ten megabytes": always((200, {}, b'{"keys":[' + b" " * 10_000_000)),
    "it sends a page": always((200, {"content-type": "text/html"}, b"<html>")),
    "it sends somebody elsewhere": always((302, {"location": "/application/o/other/jwks/"}, b"")),
    "it cuts the connection": always(None),
    "it hangs": hang,
    "it has no keys": always(of({"keys": []})),
    "it has too many": always(of({"keys": [{"kid": str(number)} for number in range(33)]})),
    "it packs what swells": always((200, {"content-encoding": "gzip"}, b"\x1f\x8b")),
    "it has depth": always((200, {}, b"[" * 50_000)),
    "it has symmetric keys": always(of({"keys": [{"kty": "oct", "kid": "first", "k": "c2VjcmV0"}]})),
}


@pytest.mark.parametrize("how", OUTAGES)
async def test_through_an_outage_the_known_keys_stay_good_for_a_day(idp, keys, clock, monkeypatch, how):
    monkeypatch.setattr(outbound, "SECONDS", 0.2)
    await look(keys)
    known = await keys.key("first")
    idp.behaves = OUTAGES[how]
    clock.now += STALE - 1
    begun = time.monotonic()
    await look(keys)
    assert time.monotonic() - begun < 2
    assert await keys.key("first") == known
    clock.now += 2
    with pytest.raises(ProviderUnavailable):
        await keys.key("first")
    idp.behaves = None
    clock.now += WISH
    assert await keys.key("first") == known, "and it recovers"
    assert not [each for each in idp.asked if "other" in each], "nobody went where he was sent"


async def test_an_issuer_that_was_never_there_is_unavailable_not_a_reason_to_refuse(idp, keys):
    idp.behaves = always(of({}, 500))
    with pytest.raises(ProviderUnavailable):
        await keys.key("first")


async def test_the_next_process_starts_with_the_keys_of_the_last(dsn, idp):
    client = outbound.client()
    async with await open_pool(dsn, size=2) as pool:
        kept = KeptKeys(pool, Wrapping(bytes(32)))
        await look(IssuerKeys(Issuer(url=idp.url), client, kept))
        idp.behaves = always(of({}, 500))
        for wrapping, there in ((Wrapping(bytes(32)), True), (Wrapping(b"k" * 32), False)):
            later = IssuerKeys(Issuer(url=idp.url), client, KeptKeys(pool, wrapping))
            await later.open()
            assert later.good is there, "and what somebody else put there is not believed"
    await client.aclose()


def test_only_keys_that_verify_are_taken():
    rsa, short = generate_rsa(65537, 2048), generate_rsa(65537, 1024)
    curve = json.loads(jwt.algorithms.ECAlgorithm.to_jwk(generate_private_key(SECP256R1()).public_key()))
    listed = [
        jwk(rsa, "good"),
        jwk(short, "short"),
        jwk(rsa, "encrypts", use="enc"),
        jwk(rsa, "signs", key_ops=["sign"]),
        jwk(rsa, "hmac", alg="HS256"),
        jwk(rsa, "none", alg="none"),
        jwk(rsa, "private", d="AQAB"),
        jwk(rsa, "broken", n="!"),
        {**jwk(rsa, "x"), "kid": None},
        {"kty": "oct", "kid": "oct", "k": "c2VjcmV0"},
        {**curve, "kid": "curve"},
        {**curve, "kid": "confused", "alg": "ES384"},
        "no key",
    ]
    found = keys_of(json.dumps({"keys": listed}).encode())
    assert {kid: key.algorithm for kid, key in found.items()} == {"good": "RS256", "curve": "ES256"}


@pytest.mark.parametrize(
    ("entry", "wrong"),
    [
        ("http://idp.example/", "https"),
        ("ftp://idp.example/", "https"),
        ("https://idp.example/ audiense=x", "audiense"),
        ("https://idp.example/ audience=", "audience"),
        ("https://idp.example/ jwks=http://idp.example/jwks", "https"),
        ("https://idp.example/ accept=anything", "anything"),
    ],
)
def test_a_setting_that_is_not_safe_is_refused(entry, wrong):
    with pytest.raises(ValueError, match=wrong):
        issuer_of(entry)


def test_a_setting_may_say_more_than_the_url():
    simple = issuer_of("https://idp.example/application/o/app/")
    assert simple == Issuer(url="https://idp.example/application/o/app/")
    said = issuer_of(
        "http://127.0.0.1:9000/ audience=a audience=b jwks=http://[::1]:9000/k typ=at+JWT accept=id_token"
    )
    assert (said.audience, said.types, said.accept) == ({"a", "b"}, {"at+jwt"}, {"id_token"})
    assert said.jwks == "http://[::1]:9000/k"
    assert jwks.EVERY == 300
