"""`chancery keys` as an operator types it."""

import asyncio
import os
from base64 import b64encode

import pytest
from click.testing import CliRunner

from cli import keys
from cli.main import chancery
from infrastructure.security.tokens import Tokens
from tests.signing import tokens_of


@pytest.fixture
def run(dsn, tmp_path, monkeypatch):
    """Types a `keys` command; answers what it printed."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHANCERY_DATABASE_URL", dsn)
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(bytes(32)).decode())
    monkeypatch.setattr(keys, "SETTLE", 0.0)

    def typed(*arguments, code=0):
        result = CliRunner().invoke(chancery, ["keys", *arguments])
        assert result.exit_code == code, result.output
        return result.output

    return typed


def process(dsn) -> Tokens:
    return asyncio.run(tokens_of(dsn, "https://chancery.example"))


def states(listed) -> list[str]:
    return [line.split()[1] for line in listed.splitlines()[1:]]


def test_the_first_command_finds_or_makes_a_key_that_signs(run, dsn):
    assert states(run("list")) == ["active"]
    assert process(dsn).ring.signer[0] in run("list")


def test_a_rotation_publishes_a_key_and_now_makes_it_sign(run, dsn):
    run("list")
    old = process(dsn).ring.signer[0]
    said = run("rotate")
    new = said.split()[0]
    assert "is published, and signs in ten minutes" in said
    assert states(run("list")) == ["active", "pending"]
    assert process(dsn).ring.signer[0] == old
    assert run("rotate", "--now") == f"{new} signs now.\n"
    assert states(run("list")) == ["retiring", "active"]
    assert process(dsn).ring.signer[0] == new


def test_a_compromised_key_is_thrown_out_and_the_reason_stands_in_the_log(run, dsn):
    run("list")
    old = process(dsn).ring.signer[0]
    said = run("compromise", old, "--reason", "seen in a ticket")
    assert said.startswith(f"{old} is believed nowhere any more.\n")
    new = process(dsn).ring.signer[0]
    assert f"{new} signs now." in said
    assert old not in process(dsn).ring.public
    assert states(run("list")) == ["compromised", "active"]


def test_an_unknown_key_and_another_key_encryption_key_are_told_in_a_sentence(run, monkeypatch):
    run("list")
    assert "There is no such signing key" in run("compromise", "nobody's", code=1)
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(b"k" * 32).decode())
    assert "The key-encryption key is not the one" in run("list", code=1)
