"""Occasions of a contract: the three questions for each command, and what they keep a contract from."""

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from uuid import UUID

import pytest

from domain.contract.aggregate import CONTRACT
from domain.contract.commands import (
    AddOccasion,
    ArchiveContract,
    AssignOccasion,
    CancelContract,
    ChangeOccasion,
    WithdrawOccasion,
)
from domain.contract.events import (
    ContractArchived,
    ContractCanceled,
    ContractDrafted,
    ContractSigned,
    OccasionAdded,
    OccasionAssigned,
    OccasionChanged,
    OccasionWithdrawn,
)
from domain.contract.guards import BOOKING, OCCASION, guards
from domain.contract.refusals import (
    ContractIsArchived,
    ContractIsCanceled,
    ContractUnknown,
    NotSigned,
    OccasionAttached,
    OccasionIsWithdrawn,
    OccasionTimesWrong,
    OccasionUnknown,
)
from domain.money import Money
from domain.shared import ClaimAdded
from tests.scenario import given

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
CONTRACT_ID, FAIR, OTHER, ALPHA, ANNA, SACHA = (UUID(int=number) for number in range(1, 7))

DRAFTED = ContractDrafted(
    kind="sale", organisation_id=ALPHA, amount=Money(amount=Decimal(0), currency="EUR"), drafted_by=ANNA
)
SIGNED = ContractSigned(signed_by=ANNA, signed_at=NOON, signed_version=1, document_sha256="0" * 64)
ADDED = OccasionAdded(
    occasion_id=FAIR,
    organisation_id=ALPHA,
    title="Fair",
    starts_at=NOON,
    ends_at=NOON + HOUR,
    place="Hall 3",
    attendees=40,
)
ASSIGNED = OccasionAssigned(
    occasion_id=FAIR, user_id=SACHA, title="Fair", starts_at=NOON, ends_at=NOON + HOUR
)
WITHDRAWN = OccasionWithdrawn(occasion_id=FAIR, reason="rain")

ADD = AddOccasion(
    occasion_id=FAIR, title="Fair", starts_at=NOON, ends_at=NOON + HOUR, place="Hall 3", attendees=40
)
CHANGE = ChangeOccasion(occasion_id=FAIR, changes={"title": "Show"})
ASSIGN = AssignOccasion(occasion_id=FAIR, user_id=SACHA)
WITHDRAW = WithdrawOccasion(occasion_id=FAIR, reason="rain")
EVERY = [ADD, CHANGE, ASSIGN, WITHDRAW]


def moment(text):
    return datetime.fromisoformat(text)


# --- add --------------------------------------------------------------------------------------------------------


def test_a_signed_contract_gets_an_occasion():
    given(CONTRACT, DRAFTED, SIGNED).when(ADD).then(ADDED)


def test_its_times_are_kept_in_utc_wherever_they_were_said():
    paris = timezone(timedelta(hours=2))
    said = AddOccasion(
        occasion_id=FAIR,
        title="Fair",
        starts_at=NOON.astimezone(paris),
        ends_at=moment("2026-06-01T15:00+02:00"),
    )
    when = given(CONTRACT, DRAFTED, SIGNED).when(said)
    (added,) = when.decided
    assert [str(each) for each in (added.starts_at, added.ends_at)] == [
        "2026-06-01 12:00:00+00:00",
        "2026-06-01 13:00:00+00:00",
    ]


@pytest.mark.parametrize("ends_at", [NOON, NOON - HOUR, moment("2026-06-01T13:59+02:00")])
def test_it_begins_before_it_ends(ends_at):
    command = AddOccasion(occasion_id=FAIR, title="Fair", starts_at=NOON, ends_at=ends_at)
    refused = given(CONTRACT, DRAFTED, SIGNED).when(command).then_refused(OccasionTimesWrong)
    assert [(each.pointer, each.code) for each in refused.errors] == [("/ends_at", "reversed")]


@pytest.mark.parametrize(
    ("starts_at", "ends_at", "pointer"),
    [
        ("0001-01-01T00:00:00+14:00", "2026-06-01T13:00:00Z", "/starts_at"),
        ("1899-12-31T23:00:00Z", "2026-06-01T13:00:00Z", "/starts_at"),
        ("2026-06-01T13:00:00Z", "9999-12-31T23:59:59-12:00", "/ends_at"),
    ],
)
def test_no_year_that_no_calendar_elsewhere_can_hold(starts_at, ends_at, pointer):
    command = AddOccasion(
        occasion_id=FAIR, title="Fair", starts_at=moment(starts_at), ends_at=moment(ends_at)
    )
    refused = given(CONTRACT, DRAFTED, SIGNED).when(command).then_refused(OccasionTimesWrong)
    assert [(each.pointer, each.code) for each in refused.errors] == [(pointer, "out_of_range")]


# --- in which state -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", EVERY, ids=lambda each: type(each).__name__)
@pytest.mark.parametrize(
    ("past", "refusal"),
    [
        ([], ContractUnknown),
        ([DRAFTED], NotSigned),
        ([DRAFTED, SIGNED, ContractCanceled(reason="no")], ContractIsCanceled),
        ([DRAFTED, SIGNED, ADDED, WITHDRAWN, ContractCanceled(reason="no")], ContractIsCanceled),
        ([DRAFTED, SIGNED, ADDED, ContractArchived()], ContractIsArchived),
    ],
    ids=["unknown", "unsigned", "canceled", "canceled after it", "archived"],
)
def test_only_a_signed_contract_has_occasions(past, refusal, command):
    given(CONTRACT, *past).when(command).then_refused(refusal)


@pytest.mark.parametrize("command", [CHANGE, ASSIGN, WITHDRAW], ids=lambda each: type(each).__name__)
def test_what_is_not_there_cannot_be_touched(command):
    given(CONTRACT, DRAFTED, SIGNED).when(command).then_refused(OccasionUnknown)


@pytest.mark.parametrize("command", [CHANGE, ASSIGN], ids=lambda each: type(each).__name__)
def test_what_was_withdrawn_stays_as_it_was(command):
    given(CONTRACT, DRAFTED, SIGNED, ADDED, WITHDRAWN).when(command).then_refused(OccasionIsWithdrawn)


# --- change, assign, withdraw -------------------------------------------------------------------------------------


def test_only_what_changed_is_said():
    changes = {"title": "Show", "place": "Hall 3", "attendees": None, "notes": "Bring chairs."}
    state = (
        given(CONTRACT, DRAFTED, SIGNED, ADDED)
        .when(ChangeOccasion(occasion_id=FAIR, changes=changes))
        .then(OccasionChanged(occasion_id=FAIR, title="Show", attendees=None, notes="Bring chairs."))
    )
    kept = state.paper.occasions[FAIR]
    assert (kept.version, kept.arrangement.title, kept.arrangement.place) == (4, "Show", "Hall 3")
    assert (kept.arrangement.attendees, kept.arrangement.notes) == (None, "Bring chairs.")


def test_a_change_to_what_it_is_changes_nothing():
    same = {"title": "Fair", "starts_at": "2026-06-01T14:00:00+02:00"}
    given(CONTRACT, DRAFTED, SIGNED, ADDED).when(
        ChangeOccasion(occasion_id=FAIR, changes=same)
    ).then_nothing()


def test_moved_it_says_both_times_and_who_is_taken():
    later = ChangeOccasion(occasion_id=FAIR, changes={"ends_at": "2026-06-01T15:00:00Z"})
    moved = OccasionChanged(occasion_id=FAIR, starts_at=NOON, ends_at=NOON + 3 * HOUR, assigned_to=SACHA)
    given(CONTRACT, DRAFTED, SIGNED, ADDED, ASSIGNED).when(later).then(moved)
    assert guards(CONTRACT_ID, moved) == (
        ClaimAdded(kind=BOOKING, value=f"{SACHA}:20260601T120000000000:20260601T150000000000:{FAIR}"),
    )


def test_a_begin_after_the_end_it_has_is_refused():
    moved = ChangeOccasion(occasion_id=FAIR, changes={"starts_at": "2026-06-01T13:00:00Z"})
    given(CONTRACT, DRAFTED, SIGNED, ADDED).when(moved).then_refused(OccasionTimesWrong)


def test_somebody_is_to_hold_it_and_then_nobody():
    given(CONTRACT, DRAFTED, SIGNED, ADDED).when(ASSIGN).then(ASSIGNED)
    given(CONTRACT, DRAFTED, SIGNED, ADDED, ASSIGNED).when(ASSIGN).then_nothing()
    nobody = AssignOccasion(occasion_id=FAIR, user_id=None)
    given(CONTRACT, DRAFTED, SIGNED, ADDED).when(nobody).then_nothing()
    given(CONTRACT, DRAFTED, SIGNED, ADDED, ASSIGNED).when(nobody).then(
        OccasionAssigned(occasion_id=FAIR, title="Fair", starts_at=NOON, ends_at=NOON + HOUR)
    )


def test_it_is_withdrawn_once():
    given(CONTRACT, DRAFTED, SIGNED, ADDED).when(WITHDRAW).then(WITHDRAWN)
    given(CONTRACT, DRAFTED, SIGNED, ADDED, WITHDRAWN).when(WITHDRAW).then_nothing()


def test_its_id_leads_to_its_contract():
    assert guards(CONTRACT_ID, ADDED) == (ClaimAdded(kind=OCCASION, value=str(FAIR)),)
    assert guards(CONTRACT_ID, WITHDRAWN) == ()


# --- what it keeps a contract from ----------------------------------------------------------------------------------


def test_with_an_occasion_it_is_not_canceled_and_the_refusal_names_it():
    refused = (
        given(CONTRACT, DRAFTED, SIGNED, ADDED)
        .when(CancelContract(reason="no"))
        .then_refused(OccasionAttached, occasions=[str(FAIR)])
    )
    assert refused.detail == f"Withdraw first: Fair ({FAIR})."


def test_withdrawn_it_frees_its_contract():
    other = OccasionAdded(
        occasion_id=OTHER, organisation_id=ALPHA, title="Dinner", starts_at=NOON, ends_at=NOON + HOUR
    )
    given(CONTRACT, DRAFTED, SIGNED, ADDED, other, WITHDRAWN).when(CancelContract(reason="no")).then_refused(
        OccasionAttached, occasions=[str(OTHER)]
    )
    given(CONTRACT, DRAFTED, SIGNED, ADDED, WITHDRAWN).when(CancelContract(reason="no")).then(
        ContractCanceled(reason="no", organisation_id=ALPHA)
    )


def test_it_is_archived_when_its_occasions_are_over():
    past = (DRAFTED, SIGNED, ADDED)
    given(CONTRACT, *past).when(ArchiveContract(now=NOON)).then_refused(
        OccasionAttached, occasions=[str(FAIR)]
    )
    given(CONTRACT, *past).when(ArchiveContract(now=NOON + HOUR)).then(ContractArchived())
    given(CONTRACT, *past, WITHDRAWN).when(ArchiveContract(now=NOON)).then(ContractArchived())
