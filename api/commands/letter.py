"""POST and PATCH of letters."""

from typing import Annotated, Any

import msgspec
from litestar import Router, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.conditions import KeyMissing
from api.fields import Body, Change, Day, Id, Nothing, Reason
from api.openapi import problems
from api.refs import Ref, Refs
from application.file import FileAlreadyBound, FileNotYours
from application.letter import Letters
from application.letter_reliance import OrganisationsNotOpen
from domain.letter.commands import ChangeLetter, DraftLetter, RegisterLetter, WithdrawLetter
from domain.letter.refusals import (
    LetterAlreadySigned,
    LetterInvalid,
    LetterIsIncoming,
    LetterIsWithdrawn,
    LetterUnknown,
    ParentCycle,
    ParentUnknown,
    ThreadTooLong,
)

PATH = "/api/v1/letters"

Subject = Annotated[str, Meta(min_length=10, max_length=2_000, examples=["On the audit of the north site"])]
SenderNumber = Annotated[str, Meta(min_length=1, max_length=70, examples=["17/3-204"])]
Organisations = Annotated[tuple[Id, ...], Meta(min_length=1, max_length=50)]
Enclosures = Annotated[tuple[Id, ...], Meta(max_length=10)]

_MADE = (OrganisationsNotOpen, ParentUnknown, FileNotYours, FileAlreadyBound)


class RegisterLetterBody(Body, frozen=True, kw_only=True):
    """The sender's number and date, and the day it came. `due_on`: when it should be answered."""

    organisation_ids: Organisations
    subject: Subject
    sender_number: SenderNumber
    sender_date: Day
    received_on: Day
    parent_id: Id | None = None
    due_on: Day | None = None
    attachments: Enclosures = ()


class DraftLetterBody(Body, frozen=True, kw_only=True):
    """`parent_id`: the letter that it answers. `due_on`: when an answer to it should be there."""

    organisation_ids: Organisations
    subject: Subject
    parent_id: Id | None = None
    due_on: Day | None = None
    attachments: Enclosures = ()


class ChangeLetterBody(Body, frozen=True, kw_only=True):
    """Absent: unchanged; null: cleared. The sender's number and date and the day it came are an incoming letter's, the
    day it was signed is a signed one's.
    """

    organisation_ids: Organisations | UnsetType = UNSET
    subject: Subject | UnsetType = UNSET
    sender_number: SenderNumber | UnsetType = UNSET
    sender_date: Day | UnsetType = UNSET
    received_on: Day | UnsetType = UNSET
    signed_on: Day | UnsetType = UNSET
    parent_id: Change[Id] = UNSET
    due_on: Change[Day] = UNSET
    attachments: Enclosures | UnsetType = UNSET


class SignLetterBody(Nothing, frozen=True, kw_only=True):
    """Without a day: today."""

    signed_on: Day | None = None


class WithdrawLetterBody(Body, frozen=True, kw_only=True):
    reason: Reason


def routes(letters: Letters, refs: Refs) -> Router:
    @post("/incoming", responses=problems(LetterInvalid, *_MADE))
    async def register_letter(
        request: Asked,
        data: JSONBody[RegisterLetterBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Register a letter that has come in. The receipt carries its `number`, the next of the register IN."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await letters.register(as_command(data, RegisterLetter), asked), at=PATH)

    @post("/outgoing", responses=problems(*_MADE))
    async def draft_letter(
        request: Asked,
        data: JSONBody[DraftLetterBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Draft a letter that shall go out. It has no number before it is signed."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await letters.draft(as_command(data, DraftLetter), asked), at=PATH)

    @post(
        "/{ref:str}/sign",
        status_code=200,
        responses=problems(
            LetterUnknown, LetterIsIncoming, LetterIsWithdrawn, LetterAlreadySigned, LetterInvalid, KeyMissing
        ),
    )
    async def sign_letter(
        request: Asked,
        ref: Ref,
        data: JSONBody[SignLetterBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Sign a draft: it goes out with the next `number` of the register OUT. Signing again changes nothing."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run, key_required=True)
        return answered(await letters.sign(await refs.numbered("letter", ref), data.signed_on, asked))

    @patch(
        "/{ref:str}",
        responses=problems(
            LetterUnknown, LetterIsWithdrawn, LetterInvalid, *_MADE, ParentCycle, ThreadTooLong
        ),
    )
    async def change_letter(
        request: Asked,
        ref: Ref,
        data: JSONBody[ChangeLetterBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Correct what stands in the body. Its history shows each value from and to."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        changes: dict[str, Any] = msgspec.to_builtins(data)
        letter_id = await refs.numbered("letter", ref)
        return answered(await letters.change(letter_id, ChangeLetter(changes=changes), asked))

    @post("/{ref:str}/withdraw", status_code=200, responses=problems(LetterUnknown))
    async def withdraw_letter(
        request: Asked,
        ref: Ref,
        data: JSONBody[WithdrawLetterBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Withdraw it, with a reason. It keeps the number it has, and is neither changed nor answered any more."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        letter_id = await refs.numbered("letter", ref)
        return answered(await letters.withdraw(letter_id, as_command(data, WithdrawLetter), asked))

    return Router(
        "/letters",
        route_handlers=[register_letter, draft_letter, sign_letter, change_letter, withdraw_letter],
        tags=["Letters"],
    )
