"""A contract: drafted unsigned, then signed; canceled is final, archived is filed away. It is never deleted.

Signed, its kind, organisation and amount are firm, and the amount changes by amendment alone; title, custom id,
contact and due date stay what an office keeps in order. Only signed it is paid and invoiced (bookkeeping.py) and has
occasions (occasion.py), and then canceled when none of these stands any more. Archived may be what nothing more is
expected of: an unsigned contract, a canceled one, a signed one with no money and no occasion to come.
"""

from collections.abc import Collection
from typing import Any, assert_never
from uuid import UUID

import msgspec
from msgspec import UNSET, Struct
from msgspec.structs import replace

from domain.contract.account import Account, booked
from domain.contract.amounts import in_currency, judged, owed, wrong
from domain.contract.bookkeeping import on_account, refuse_less, refuse_outstanding
from domain.contract.commands import (
    AmendContract,
    ArchiveContract,
    CancelContract,
    ChangeContract,
    ContractCommand,
    DraftContract,
    MoneyCommand,
    OccasionCommand,
    ReassignContract,
    SignContract,
)
from domain.contract.document import fingerprint
from domain.contract.events import (
    ContractAmended,
    ContractArchived,
    ContractCanceled,
    ContractChanged,
    ContractDrafted,
    ContractEvent,
    ContractSigned,
    MoneyEvent,
    OccasionEvent,
    Terms,
)
from domain.contract.occasion import Occasions, arranged, on_occasion, refuse_attached
from domain.contract.refusals import (
    AlreadySigned,
    AmountUnwanted,
    ContractIsArchived,
    ContractIsCanceled,
    ContractUnknown,
    CustomIdTaken,
    NotSettled,
    NotSigned,
    SignedAmountFirm,
    SignedTermsFirm,
)
from domain.shared import Rules


class Nothing(Struct, frozen=True):
    """No such contract, yet."""


class Paper(Struct, frozen=True, kw_only=True):
    """What goes from state to state; `version` counts what has happened to it."""

    version: int
    terms: Terms
    drafted_by: UUID | None
    account_manager_id: UUID | None
    account: Account = Account()
    occasions: Occasions = {}


class Unsigned(Struct, frozen=True, kw_only=True):
    paper: Paper


class Signed(Struct, frozen=True, kw_only=True):
    paper: Paper
    signed_by: UUID


class Canceled(Struct, frozen=True, kw_only=True):
    paper: Paper


class Archived(Struct, frozen=True, kw_only=True):
    paper: Paper


Open = Unsigned | Signed
Contract = Nothing | Open | Canceled | Archived


def decide(contract: Contract, command: ContractCommand) -> tuple[ContractEvent, ...]:
    if isinstance(command, DraftContract):
        return draft(contract, command)
    if isinstance(command, ReassignContract):
        return reassign(contract, command)
    match contract:
        case Nothing():
            raise ContractUnknown("There is no such contract.")
        case Archived():
            if isinstance(command, ArchiveContract):
                return ()
            raise ContractIsArchived("An archived contract cannot be changed.")
        case Canceled():
            if isinstance(command, ArchiveContract):
                return (ContractArchived(reason=command.reason),)
            raise ContractIsCanceled("A canceled contract is final.")
        case Unsigned() | Signed():
            return on_open(contract, command)
        case _:
            assert_never(contract)


def on_open(
    contract: Open,
    command: ChangeContract
    | SignContract
    | AmendContract
    | CancelContract
    | ArchiveContract
    | MoneyCommand
    | OccasionCommand,
) -> tuple[ContractEvent, ...]:
    if isinstance(command, OccasionCommand):
        return arrange(contract, command)
    if isinstance(command, MoneyCommand):
        return keep_account(contract, command)
    match command:
        case ChangeContract():
            return change(contract, command)
        case SignContract():
            return sign(contract, command)
        case AmendContract():
            return amend(contract, command)
        case CancelContract():
            return cancel(contract, command)
        case ArchiveContract():
            return archive(contract, command)
        case _:
            assert_never(command)


def draft(contract: Contract, command: DraftContract) -> tuple[ContractEvent, ...]:
    if not isinstance(contract, Nothing):
        raise CustomIdTaken("This id is taken.")
    terms = judged(msgspec.convert(command, Terms, from_attributes=True))
    manager_id = command.manager_id or command.drafted_by
    return (
        ContractDrafted(
            **msgspec.structs.asdict(terms), drafted_by=command.drafted_by, account_manager_id=manager_id
        ),
    )


def change(contract: Open, command: ChangeContract) -> tuple[ContractEvent, ...]:
    before = contract.paper.terms
    given = msgspec.convert(command.changes, ContractChanged)
    changed = {
        name: value for name in command.changes if (value := getattr(given, name)) != getattr(before, name)
    }
    if isinstance(contract, Signed):
        refuse_firm(changed.keys())
    after = judged(replace(before, **changed))
    new: dict[str, Any] = {name: getattr(after, name) for name in changed}
    if not new.keys().isdisjoint({"organisation_id", "contact_id"}):
        new["account_manager_id"] = command.manager_id or contract.paper.drafted_by
    return (ContractChanged(**new),) if new else ()


def reassign(contract: Contract, command: ReassignContract) -> tuple[ContractEvent, ...]:
    """Nothing happens to a contract that is over."""
    if not isinstance(contract, Unsigned | Signed):
        return ()
    manager_id = command.manager_id or contract.paper.drafted_by
    if manager_id == contract.paper.account_manager_id:
        return ()
    return (ContractChanged(account_manager_id=manager_id),)


def refuse_firm(changed: Collection[str]) -> None:
    """Raises SignedAmountFirm, SignedTermsFirm."""
    if "amount" in changed:
        raise SignedAmountFirm("A signed amount changes by amendment only.")
    if not {"kind", "organisation_id"}.isdisjoint(changed):
        raise SignedTermsFirm("Kind and organisation of a signed contract are firm.")


def sign(contract: Open, command: SignContract) -> tuple[ContractEvent, ...]:
    match contract:
        case Unsigned(paper=paper):
            digest = fingerprint(command.contract_id, paper.version, paper.terms)
            signed = ContractSigned(
                signed_by=command.signed_by,
                signed_at=command.now,
                signed_version=paper.version,
                document_sha256=digest,
                custom_id=paper.terms.custom_id,
                title=paper.terms.title,
                account_manager_id=paper.account_manager_id,
                organisation_id=paper.terms.organisation_id,
                kind=paper.terms.kind,
                credential=command.credential,
                proved_at=command.proved_at,
            )
            return (signed,)
        case Signed(signed_by=signed_by):
            if signed_by == command.signed_by:
                return ()
            raise AlreadySigned("Somebody else has signed it.")
        case _:
            assert_never(contract)


def amend(contract: Open, command: AmendContract) -> tuple[ContractEvent, ...]:
    before = contract.paper.terms.amount
    if isinstance(contract, Unsigned):
        raise NotSigned("An unsigned contract is changed, not amended.")
    if before is None:
        raise wrong(AmountUnwanted, "unwanted", "A cooperation agreement has no amount to amend.")
    amount = in_currency(owed(command.amount), before.currency)
    refuse_less(amount, contract.paper.account)
    return () if amount == before else (ContractAmended(amount=amount, reason=command.reason),)


def keep_account(contract: Open, command: MoneyCommand) -> tuple[ContractEvent, ...]:
    if isinstance(contract, Unsigned):
        raise NotSigned("Only a signed contract is paid and invoiced.")
    return on_account(contract.paper.terms, contract.paper.account, command)


def arrange(contract: Open, command: OccasionCommand) -> tuple[ContractEvent, ...]:
    if isinstance(contract, Unsigned):
        raise NotSigned("Only a signed contract has occasions.")
    return on_occasion(contract.paper.occasions, contract.paper.terms.organisation_id, command)


def cancel(contract: Open, command: CancelContract) -> tuple[ContractEvent, ...]:
    refuse_attached(contract.paper.occasions)
    refuse_outstanding(contract.paper.account)
    organisation_id = contract.paper.terms.organisation_id
    return (ContractCanceled(reason=command.reason, organisation_id=organisation_id),)


def archive(contract: Open, command: ArchiveContract) -> tuple[ContractEvent, ...]:
    amount = contract.paper.terms.amount
    if isinstance(contract, Signed) and amount is not None:
        to_come = amount.amount - contract.paper.account.paid
        if to_come > 0:
            raise NotSettled(f"{to_come} {amount.currency} are still to come.")
    refuse_attached(contract.paper.occasions, after=command.now)
    return (ContractArchived(reason=command.reason),)


def evolve(contract: Contract, event: ContractEvent) -> Contract:
    if isinstance(event, ContractDrafted):
        terms = msgspec.convert(event, Terms, from_attributes=True)
        paper = Paper(
            version=1,
            terms=terms,
            drafted_by=event.drafted_by,
            account_manager_id=event.account_manager_id,
        )
        return Unsigned(paper=paper)
    assert not isinstance(contract, Nothing)
    paper = replace(contract.paper, version=contract.paper.version + 1)
    if isinstance(event, OccasionEvent):
        occasions = arranged(paper.occasions, event, paper.version)
        return replace(contract, paper=replace(paper, occasions=occasions))
    if isinstance(event, MoneyEvent):
        return replace(contract, paper=replace(paper, account=booked(paper.account, event, paper.version)))
    match event:
        case ContractChanged():
            return replace(contract, paper=changed(paper, event))
        case ContractAmended():
            return replace(contract, paper=replace(paper, terms=replace(paper.terms, amount=event.amount)))
        case ContractSigned():
            return Signed(paper=paper, signed_by=event.signed_by)
        case ContractCanceled():
            return Canceled(paper=paper)
        case ContractArchived():
            return Archived(paper=paper)
        case _:
            assert_never(event)


def changed(paper: Paper, event: ContractChanged) -> Paper:
    new = {name: value for name, value in msgspec.structs.asdict(event).items() if value is not UNSET}
    manager_id = new.pop("account_manager_id", paper.account_manager_id)
    return replace(paper, terms=replace(paper.terms, **new), account_manager_id=manager_id)


CONTRACT: Rules[Contract, ContractCommand, ContractEvent] = Rules(
    initial=Nothing(), decide=decide, evolve=evolve, unknown=ContractUnknown
)
