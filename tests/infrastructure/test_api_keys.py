"""API keys: what one looks like, which are told apart without the database, and what opens what."""

from hashlib import sha256

import bcrypt
import pytest
from argon2 import PasswordHasher

from infrastructure.security.api_keys import ApiKeys, checksum

pytestmark = pytest.mark.anyio


@pytest.fixture
def keys():
    made = ApiKeys()
    yield made
    made.close()


def test_a_key_has_prefix_id_secret_and_checksum(keys):
    made = keys.make()
    prefix, key_id, rest = made.key.split("_")
    assert (prefix, key_id, len(rest)) == ("chk", made.key_id, 43 + 6)
    assert made.hash == f"sha256:{sha256(made.key.encode()).hexdigest()}"
    assert keys.sound(made.key)
    assert len({keys.make().key for _ in range(100)}) == 100


def test_the_checksum_is_crc32_in_base_62():
    """CRC-32 of 123456789 is cbf43926 (the check value of the catalogue of CRCs)."""
    alphabet = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    number = 0
    for digit in checksum("123456789"):
        number = number * 62 + alphabet.index(digit)
    assert number == 0xCBF43926


def test_every_single_mistyped_character_is_noticed(keys):
    key = keys.make().key
    for at, before in enumerate(key):
        other = "y" if before != "y" else "z"
        mistyped = key[:at] + other + key[at + 1 :]
        assert not keys.sound(mistyped) or not mistyped.startswith("chk_")


async def test_a_key_opens_its_own_hash_and_no_other(keys):
    one, two = keys.make(), keys.make()
    hashes = [(one.key_id, one.hash), (two.key_id, two.hash)]
    assert await keys.match(one.key, hashes) == hashes[0]
    assert await keys.match(two.key, hashes) == hashes[1]
    assert await keys.match(keys.make().key, hashes) is None
    assert await keys.match(one.key, ()) is None


async def test_slow_hashes_are_opened_too(keys):
    hashes = [
        ("b", bcrypt.hashpw(b"one", bcrypt.gensalt(4)).decode()),
        ("a", PasswordHasher(time_cost=1, memory_cost=64, parallelism=1).hash(b"two")),
    ]
    assert [keys.refused(hashed) for _, hashed in hashes] == [None, None]
    assert await keys.match("one", hashes) == hashes[0]
    assert await keys.match("two", hashes) == hashes[1]
    assert await keys.match("three", hashes) is None
    assert await keys.match("o\0ne", hashes) is None


@pytest.mark.parametrize(
    "hashed", ["", "secret", "sha256:00", "sha256:" + "G" * 64, "$2b$15$" + "a" * 53, "$1$x$y"]
)
def test_a_hash_of_another_kind_is_not_taken(keys, hashed):
    assert keys.refused(hashed) is not None
