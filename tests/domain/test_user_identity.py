"""What an identity provider says of a user: taken over, noted, and not noted when there is nothing to say."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from domain.user.aggregate import USER
from domain.user.commands import ProvisionUser, RecordSync
from domain.user.events import (
    UserBlocked,
    UserChanged,
    UserDeactivated,
    UserProvisioned,
    UserReactivated,
    UserRegistered,
    UserSynced,
    person_id,
)
from domain.user.refusals import IdentityInvalid, IdentityUnknown, UserUnknown
from tests.scenario import given

NOW = datetime(2026, 5, 3, 10, tzinfo=UTC)
ISSUER, SUB = "https://idp.example/o/chancery/", "8f14e45f"
ANNA = UserProvisioned(
    issuer=ISSUER, sub=SUB, email="anna@example.org", display_name="Anna Berg", synced_at=NOW
)
SYNCED = UserSynced(issuer=ISSUER, synced_at=NOW)


def asked(**said) -> ProvisionUser:
    return ProvisionUser(now=said.pop("now", NOW), issuer=ISSUER, sub=SUB, **said)


def test_the_first_word_of_a_provider_makes_the_user():
    said = asked(email="anna@example.org", display_name="Anna Berg", error=None)
    given(USER).when(said).then(ANNA)


def test_who_comes_inactive_is_made_and_deactivated():
    bare = UserProvisioned(issuer=ISSUER, sub=SUB, synced_at=NOW)
    given(USER).when(asked(is_active=False)).then(bare, UserDeactivated())


def test_the_same_word_again_changes_nothing():
    said = asked(email="anna@example.org", display_name="Anna Berg", is_active=True, error=None)
    given(USER, ANNA).when(said).then_nothing()


def test_what_is_not_said_stays():
    given(USER, ANNA).when(asked()).then_nothing()


def test_only_what_is_said_anew_changes():
    said = asked(email="anna@example.org", display_name="A. Berg", error=None)
    given(USER, ANNA).when(said).then(UserChanged(display_name="A. Berg"), SYNCED)


def test_a_day_without_changes_is_noted_once():
    later = NOW + timedelta(days=1)
    given(USER, ANNA).when(asked(now=later - timedelta(microseconds=1))).then_nothing()
    noted = UserSynced(issuer=ISSUER, synced_at=later)
    given(USER, ANNA).when(asked(now=later)).then(noted)
    given(USER, ANNA, noted).when(asked(now=later + timedelta(hours=1))).then_nothing()


def test_an_error_is_noted_when_it_comes_and_when_it_goes():
    failed = UserSynced(issuer=ISSUER, synced_at=NOW, error="email_taken")
    given(USER, ANNA).when(asked(error="email_taken")).then(failed)
    given(USER, ANNA, failed).when(asked(error="email_taken")).then_nothing()
    given(USER, ANNA, failed).when(asked()).then_nothing()
    given(USER, ANNA, failed).when(asked(display_name="Anna Berg", error=None)).then(SYNCED)


def test_a_provider_deactivates_and_reactivates():
    given(USER, ANNA).when(asked(is_active=False)).then(UserDeactivated(), SYNCED)
    gone = UserDeactivated()
    given(USER, ANNA, gone).when(asked(is_active=False)).then_nothing()
    given(USER, ANNA, gone).when(asked()).then_nothing()
    given(USER, ANNA, gone).when(asked(is_active=True)).then(UserReactivated(role="user"), SYNCED)


def test_a_provider_lifts_no_block():
    given(USER, ANNA, UserBlocked(reason="left")).when(asked(is_active=True)).then_nothing()


@pytest.mark.parametrize(
    ("issuer", "sub"),
    [
        (ISSUER, ""),
        (ISSUER, "x" * 256),
        (ISSUER, "x" * 10_240),
        (ISSUER, "a\nb"),
        (ISSUER, "a\x00b"),
        (ISSUER, "a\u202eb"),
        (ISSUER, "\ud800"),
        (ISSUER, " a"),
        ("", SUB),
        ("i" * 513, SUB),
        ("https://idp\n", SUB),
    ],
)
def test_nobody_is_named_so(issuer, sub):
    given(USER).when(ProvisionUser(now=NOW, issuer=issuer, sub=sub)).then_refused(IdentityInvalid)


def test_a_subject_of_255_characters_is_one():
    said = ProvisionUser(now=NOW, issuer=ISSUER, sub="ж" * 255)
    given(USER).when(said).then(UserProvisioned(issuer=ISSUER, sub="ж" * 255, synced_at=NOW))


def test_how_a_sync_went_is_noted():
    failed = UserSynced(issuer=ISSUER, synced_at=NOW, error="provider_unavailable")
    said = RecordSync(now=NOW, issuer=ISSUER, error="provider_unavailable")
    given(USER, ANNA).when(said).then(failed)
    given(USER, ANNA, failed).when(said).then_nothing()
    given(USER, ANNA, failed).when(RecordSync(now=NOW, issuer=ISSUER)).then(SYNCED)


def test_nothing_is_noted_of_who_is_not_known_there():
    ours = UserRegistered(email="x@example.org", role="user")
    given(USER, ours).when(RecordSync(now=NOW, issuer=ISSUER)).then_refused(IdentityUnknown)
    given(USER).when(RecordSync(now=NOW, issuer=ISSUER)).then_refused(UserUnknown)


def test_an_id_follows_from_issuer_and_subject_for_ever():
    assert person_id(ISSUER, SUB) == UUID("4a4b6334-de89-5f04-883b-b3ee40591c00")
    assert person_id(ISSUER, SUB) != person_id(ISSUER, SUB.upper())
