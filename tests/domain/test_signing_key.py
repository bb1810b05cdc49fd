"""A signing key's questions: in which order its states follow, and what throws it out."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.shared import Claim
from domain.signing_key.aggregate import (
    SIGNING_KEY,
    SigningKeyTooEarly,
    SigningKeyUnknown,
    SigningKeyWrongState,
)
from domain.signing_key.commands import (
    ActivateSigningKey,
    AddSigningKey,
    CompromiseSigningKey,
    RetireSigningKey,
    SupersedeSigningKey,
)
from domain.signing_key.events import (
    SigningKeyActivated,
    SigningKeyAdded,
    SigningKeyCompromised,
    SigningKeyRetired,
    SigningKeySuperseded,
)
from domain.signing_key.guards import COMPROMISED, PENDING, PUBLISHED, STATES, guards
from tests.scenario import given

NOW = datetime(2026, 5, 3, 10, 20, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
JWK = {"crv": "P-256", "kty": "EC", "x": "x", "y": "y"}
ADDED = SigningKeyAdded(kid="k", public_jwk=JWK, signs_from=LATER)
ACTIVATED = SigningKeyActivated(kid="k", activated_at=LATER)
SUPERSEDED = SigningKeySuperseded(kid="k", verifies_until=LATER)
RETIRED = SigningKeyRetired(kid="k")
COMPROMISE = CompromiseSigningKey(reason="laptop stolen")
THROWN_OUT = SigningKeyCompromised(kid="k", reason="laptop stolen")
LIVES = {
    "nothing": (),
    "pending": (ADDED,),
    "active": (ADDED, ACTIVATED),
    "retiring": (ADDED, ACTIVATED, SUPERSEDED),
    "retired": (ADDED, ACTIVATED, SUPERSEDED, RETIRED),
    "compromised": (ADDED, THROWN_OUT),
}


def test_a_key_is_published_then_signs_then_verifies_and_then_is_gone():
    given(SIGNING_KEY).when(AddSigningKey(kid="k", public_jwk=JWK, signs_from=LATER)).then(ADDED)
    given(SIGNING_KEY, *LIVES["pending"]).when(ActivateSigningKey(now=LATER)).then(ACTIVATED)
    given(SIGNING_KEY, *LIVES["active"]).when(SupersedeSigningKey(verifies_until=LATER)).then(SUPERSEDED)
    given(SIGNING_KEY, *LIVES["retiring"]).when(RetireSigningKey(now=LATER)).then(RETIRED)


def test_it_neither_signs_nor_goes_before_its_time_unless_told_to_sign_early():
    pending = given(SIGNING_KEY, *LIVES["pending"])
    pending.when(ActivateSigningKey(now=NOW)).then_refused(SigningKeyTooEarly)
    pending.when(ActivateSigningKey(now=NOW, early=True)).then(SigningKeyActivated(kid="k", activated_at=NOW))
    given(SIGNING_KEY, *LIVES["retiring"]).when(RetireSigningKey(now=NOW)).then_refused(SigningKeyTooEarly)


@pytest.mark.parametrize("life", ["pending", "active", "retiring", "retired"])
def test_it_may_turn_out_to_be_compromised_at_any_time(life):
    given(SIGNING_KEY, *LIVES[life]).when(COMPROMISE).then(THROWN_OUT)


@pytest.mark.parametrize(
    ("life", "command"),
    [
        ("active", ActivateSigningKey(now=LATER)),
        ("retiring", SupersedeSigningKey(verifies_until=LATER)),
        ("retired", RetireSigningKey(now=LATER)),
        ("compromised", COMPROMISE),
    ],
)
def test_what_is_so_already_needs_no_event(life, command):
    given(SIGNING_KEY, *LIVES[life]).when(command).then_nothing()


@pytest.mark.parametrize(
    ("life", "command"),
    [
        ("retiring", ActivateSigningKey(now=LATER)),
        ("retired", ActivateSigningKey(now=LATER)),
        ("compromised", ActivateSigningKey(now=LATER, early=True)),
        ("compromised", RetireSigningKey(now=LATER)),
        ("pending", SupersedeSigningKey(verifies_until=LATER)),
        ("active", RetireSigningKey(now=LATER)),
        ("active", AddSigningKey(kid="k", public_jwk=JWK, signs_from=LATER)),
    ],
)
def test_no_state_is_skipped_or_come_back_to(life, command):
    given(SIGNING_KEY, *LIVES[life]).when(command).then_refused(SigningKeyWrongState)


@pytest.mark.parametrize("command", [ActivateSigningKey(now=NOW), COMPROMISE, RetireSigningKey(now=NOW)])
def test_of_no_key_nothing_can_be_asked(command):
    given(SIGNING_KEY).when(command).then_refused(SigningKeyUnknown)


def test_each_event_leaves_it_in_one_state():
    for event in (ADDED, ACTIVATED, SUPERSEDED, RETIRED, THROWN_OUT):
        claims = guards(UUID(int=1), event)
        assert [claim.kind for claim in claims] == list(STATES)
        assert sorted(claim.values for claim in claims) == [(), (), (), (), ("k",)]
    assert Claim(kind=PENDING, values=("k",)) in guards(UUID(int=1), ADDED)
    assert Claim(kind=COMPROMISED, values=("k",)) in guards(UUID(int=1), THROWN_OUT)
    assert COMPROMISED not in PUBLISHED
