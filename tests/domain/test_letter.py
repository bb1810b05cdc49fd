"""Letters: in or out, numbered once, corrected and withdrawn."""

from datetime import date
from uuid import UUID

import pytest

from domain.letter.aggregate import LETTER
from domain.letter.commands import (
    ChangeLetter,
    DraftLetter,
    RegisterLetter,
    SignLetter,
    TellDue,
    WithdrawLetter,
)
from domain.letter.events import (
    LetterChanged,
    LetterDrafted,
    LetterFellDue,
    LetterRegistered,
    LetterSigned,
    LetterWithdrawn,
)
from domain.letter.guards import NUMBER, guards
from domain.letter.refusals import (
    LetterAlreadySigned,
    LetterInvalid,
    LetterIsIncoming,
    LetterIsWithdrawn,
    LetterUnknown,
)
from domain.shared import Claim
from tests.scenario import given

ALPHA, BETA, SCAN, OTHER, ANNA = (UUID(int=n) for n in range(1, 6))
YESTERDAY, TODAY, TOMORROW = date(2026, 2, 28), date(2026, 3, 1), date(2026, 3, 2)
SUBJECT = "On the audit of the north site"

REGISTERED = LetterRegistered(
    number="IN-2026-00001",
    organisation_ids=(ALPHA,),
    subject=SUBJECT,
    sender_number="17/3",
    sender_date=YESTERDAY,
    received_on=TODAY,
    attachments=(SCAN,),
)
DRAFTED = LetterDrafted(organisation_ids=(ALPHA,), subject=SUBJECT)
SIGNED = LetterSigned(number="OUT-2026-00001", signed_on=TODAY, signed_by=ANNA)
WITHDRAWN = LetterWithdrawn(reason="registered twice")


def register(**fields):
    told = {
        "number": "IN-2026-00001",
        "organisation_ids": (ALPHA,),
        "subject": SUBJECT,
        "sender_number": "17/3",
        "sender_date": YESTERDAY,
        "received_on": TODAY,
        "attachments": (SCAN,),
        "latest": TODAY,
    }
    return RegisterLetter(**told | fields)


def sign(number="OUT-2026-00001", **fields):
    return SignLetter(**{"number": number, "signed_by": ANNA, "today": TODAY, "latest": TODAY} | fields)


def change(**changes):
    return ChangeLetter(changes=changes, latest=TODAY)


def test_an_incoming_letter_is_registered_under_its_number():
    given(LETTER).when(register()).then(REGISTERED)


def test_what_is_registered_already_is_not_registered_again():
    given(LETTER, REGISTERED).when(register(number="IN-2026-00002")).then_nothing()


def test_organisations_and_enclosures_are_named_once_each():
    given(LETTER).when(register(organisation_ids=(ALPHA, ALPHA), attachments=(SCAN, SCAN))).then(REGISTERED)


@pytest.mark.parametrize(
    ("days", "wrong"),
    [
        ({"sender_date": TOMORROW}, [("/sender_date", "future"), ("/received_on", "order")]),
        ({"received_on": TOMORROW}, [("/received_on", "future")]),
        ({"received_on": date(2026, 2, 27)}, [("/received_on", "order")]),
    ],
)
def test_no_day_is_in_the_future_and_none_is_received_before_it_was_sent(days, wrong):
    refused = given(LETTER).when(register(**days)).then_refused(LetterInvalid)
    assert [(error.pointer, error.code) for error in refused.errors] == wrong
    changes = {name: day.isoformat() for name, day in days.items()}
    given(LETTER, REGISTERED).when(change(**changes)).then_refused(LetterInvalid)


def test_a_letter_received_the_day_it_was_sent_is_fine():
    given(LETTER).when(register(sender_date=TODAY)).then(
        LetterRegistered(
            number="IN-2026-00001",
            organisation_ids=(ALPHA,),
            subject=SUBJECT,
            sender_number="17/3",
            sender_date=TODAY,
            received_on=TODAY,
            attachments=(SCAN,),
        )
    )


def test_an_outgoing_letter_is_a_draft_without_a_number():
    given(LETTER).when(DraftLetter(organisation_ids=(ALPHA, ALPHA), subject=SUBJECT)).then(DRAFTED)
    assert [claim.kind for claim in guards(ALPHA, DRAFTED)] == ["file.binding"]


def test_a_draft_gets_its_number_when_it_is_signed_today_or_on_the_day_given():
    given(LETTER, DRAFTED).when(sign()).then(SIGNED)
    given(LETTER, DRAFTED).when(sign(signed_on=YESTERDAY)).then(
        LetterSigned(number="OUT-2026-00001", signed_on=YESTERDAY, signed_by=ANNA)
    )
    given(LETTER, DRAFTED).when(sign(signed_on=TOMORROW)).then_refused(LetterInvalid)


def test_a_signed_letter_is_signed_again_with_its_own_number_and_day_alone():
    given(LETTER, DRAFTED, SIGNED).when(sign()).then_nothing()
    given(LETTER, DRAFTED, SIGNED).when(sign(signed_on=TODAY)).then_nothing()
    given(LETTER, DRAFTED, SIGNED).when(sign(signed_on=YESTERDAY)).then_refused(LetterAlreadySigned)
    given(LETTER, DRAFTED, SIGNED).when(sign("OUT-2026-00002")).then_refused(LetterAlreadySigned)


def test_what_came_in_or_was_withdrawn_or_never_was_is_not_signed():
    given(LETTER, REGISTERED).when(sign()).then_refused(LetterIsIncoming)
    given(LETTER, DRAFTED, WITHDRAWN).when(sign()).then_refused(LetterIsWithdrawn)
    given(LETTER).when(sign()).then_refused(LetterUnknown)


@pytest.mark.parametrize(
    ("events", "field", "value"),
    [
        ((REGISTERED,), "signed_on", "2026-03-01"),
        ((DRAFTED,), "signed_on", "2026-03-01"),
        ((DRAFTED,), "received_on", "2026-03-01"),
        ((DRAFTED, SIGNED), "sender_number", "17/3"),
        ((DRAFTED, SIGNED), "sender_date", "2026-03-01"),
    ],
)
def test_a_letter_is_never_both_in_and_out(events, field, value):
    refused = given(LETTER, *events).when(change(**{field: value})).then_refused(LetterInvalid)
    assert [(error.pointer, error.code) for error in refused.errors] == [(f"/{field}", "direction")]


def test_only_what_is_another_value_changes():
    wanted = change(subject=SUBJECT, organisation_ids=[str(BETA), str(ALPHA), str(BETA)], due_on="2026-04-01")
    changed = LetterChanged(organisation_ids=(BETA, ALPHA), due_on=date(2026, 4, 1))
    given(LETTER, REGISTERED).when(wanted).then(changed)
    given(LETTER, REGISTERED, changed).when(wanted).then_nothing()
    given(LETTER, DRAFTED, SIGNED).when(change(signed_on="2026-02-28")).then(
        LetterChanged(signed_on=YESTERDAY)
    )


def test_what_was_once_enclosed_stays_bound():
    changed = LetterChanged(attachments=(OTHER,), bound=(SCAN, OTHER))
    given(LETTER, REGISTERED).when(change(attachments=[str(OTHER)])).then(changed)
    back = LetterChanged(attachments=(SCAN,), bound=(SCAN, OTHER))
    given(LETTER, REGISTERED, changed).when(change(attachments=[str(SCAN)])).then(back)
    assert guards(ALPHA, back) == (Claim(kind="file.binding", values=(str(SCAN), str(OTHER))),)


@pytest.mark.parametrize("events", [(REGISTERED,), (DRAFTED,), (DRAFTED, SIGNED)])
def test_a_letter_is_withdrawn_once_and_then_firm(events):
    given(LETTER, *events).when(WithdrawLetter(reason="registered twice")).then(WITHDRAWN)
    given(LETTER, *events, WITHDRAWN).when(WithdrawLetter(reason="again")).then_nothing()
    given(LETTER, *events, WITHDRAWN).when(change(subject="Something else")).then_refused(LetterIsWithdrawn)


def test_what_never_was_is_neither_changed_nor_withdrawn():
    given(LETTER).when(change(subject="Something else")).then_refused(LetterUnknown)
    given(LETTER).when(WithdrawLetter(reason="why not")).then_refused(LetterUnknown)


def due(*events, today=TODAY):
    return given(LETTER, *events).when(TellDue(today=today, user_ids=(ANNA,)))


@pytest.mark.parametrize("events", [(REGISTERED,), (DRAFTED,), (DRAFTED, SIGNED)])
def test_that_an_answer_is_due_is_said_once_for_each_day_it_was_due_on(events):
    told = LetterFellDue(due_on=YESTERDAY, user_ids=(ANNA,))
    awaited = (*events, LetterChanged(due_on=YESTERDAY))
    due(*awaited).then(told)
    due(*awaited, told).then_nothing()
    moved = (*awaited, told, LetterChanged(due_on=TODAY))
    due(*moved).then(LetterFellDue(due_on=TODAY, user_ids=(ANNA,)))
    due(*moved, LetterChanged(due_on=YESTERDAY)).then_nothing()
    due(*awaited, told, WITHDRAWN).then_nothing()


def test_a_signature_does_not_make_it_be_said_again():
    told = LetterFellDue(due_on=YESTERDAY)
    due(DRAFTED, LetterChanged(due_on=YESTERDAY), told, SIGNED).then_nothing()


def test_what_is_not_due_yet_or_withdrawn_or_never_was_is_not_told():
    due(REGISTERED).then_nothing()
    due(REGISTERED, LetterChanged(due_on=TOMORROW)).then_nothing()
    due(REGISTERED, LetterChanged(due_on=YESTERDAY), WITHDRAWN).then_nothing()
    due().then_refused(LetterUnknown)


def test_a_number_is_claimed_when_it_is_given_and_never_released():
    claim = Claim(kind=NUMBER, values=("IN-2026:000000000001",))
    assert claim in guards(ALPHA, REGISTERED)
    assert guards(ALPHA, SIGNED) == (Claim(kind=NUMBER, values=("OUT-2026:000000000001",)),)
    assert guards(ALPHA, WITHDRAWN) == ()
