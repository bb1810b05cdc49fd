"""What is found: one entry for each record that can be searched, as its own events tell it."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, assert_never
from uuid import UUID

from msgspec import UNSET, Struct
from msgspec.structs import asdict, replace

from domain.contract.events import (
    ContractArchived,
    ContractCanceled,
    ContractChanged,
    ContractDrafted,
    ContractSigned,
)
from domain.letter.events import (
    LetterChanged,
    LetterDrafted,
    LetterRegistered,
    LetterSigned,
    LetterWithdrawn,
)
from domain.message.events import MessageSent
from domain.notice.events import NoticeChanged, NoticePublished, NoticeWithdrawn
from domain.organisation.events import OrganisationAdded, OrganisationArchived, OrganisationChanged
from domain.shared import Recorded
from projections.projection import begun, moved


class Entry(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One record as it is searched. `names`: what else it is called, by the field that says so. What the columns of
    its list judge by stands here under the same names; `user_ids` are the two of a message, its sender first.
    """

    id: UUID
    version: int
    position: int
    created_at: datetime
    updated_at: datetime
    state: str
    archived: bool = False
    title: str | None = None
    number: str | None = None
    names: dict[str, str] = {}
    text: str | None = None
    organisation_id: UUID | None = None
    organisation_ids: tuple[UUID, ...] = ()
    account_manager_id: UUID | None = None
    user_ids: tuple[UUID, ...] = ()
    dialog_id: UUID | None = None
    attachments: tuple[UUID, ...] = ()


Letters = LetterRegistered | LetterDrafted | LetterChanged | LetterSigned | LetterWithdrawn
Organisations = OrganisationAdded | OrganisationChanged | OrganisationArchived
Contracts = ContractDrafted | ContractChanged | ContractSigned | ContractCanceled | ContractArchived
Notices = NoticePublished | NoticeChanged | NoticeWithdrawn


def letter(entry: Entry | None, recorded: Recorded[Letters]) -> Entry:
    event = recorded.event
    match event:
        case LetterRegistered():
            named = _told({"sender_number": event.sender_number})
            return Entry(
                **begun(recorded), **_paper(event), state="registered", number=event.number, names=named
            )
        case LetterDrafted():
            return Entry(**begun(recorded), **_paper(event), state="draft")
        case LetterChanged():
            new = _paper(event)
            if event.sender_number is not UNSET:
                new["names"] = _told({"sender_number": event.sender_number})
        case LetterSigned():
            new = {"state": "signed", "number": event.number}
        case LetterWithdrawn():
            new = {"state": "withdrawn", "archived": True}
        case _:
            assert_never(event)
    return _after(entry, recorded, new)


def _paper(event: LetterRegistered | LetterDrafted | LetterChanged) -> dict[str, Any]:
    return _given(event, title="subject", organisation_ids="organisation_ids", attachments="attachments")


def organisation(entry: Entry | None, recorded: Recorded[Organisations]) -> Entry:
    event = recorded.event
    match event:
        case OrganisationAdded():
            return Entry(
                **begun(recorded),
                state="active",
                title=event.full_name,
                names=_told({"short_name": event.short_name, **asdict(event.identifiers)}),
                account_manager_id=event.account_manager_id,
            )
        case OrganisationChanged():
            assert entry is not None
            new = _given(event, title="full_name", account_manager_id="account_manager_id")
            names: dict[str, Any] = dict(entry.names)
            if event.short_name is not UNSET:
                names["short_name"] = event.short_name
            if event.identifiers is not UNSET:
                names |= asdict(event.identifiers)
            new["names"] = _told(names)
        case OrganisationArchived():
            new = {"state": "archived", "archived": True}
        case _:
            assert_never(event)
    return _after(entry, recorded, new)


def contract(entry: Entry | None, recorded: Recorded[Contracts]) -> Entry:
    event = recorded.event
    match event:
        case ContractDrafted():
            return Entry(
                **begun(recorded),
                state="unsigned",
                title=event.title,
                number=event.custom_id,
                organisation_id=event.organisation_id,
                account_manager_id=event.account_manager_id,
            )
        case ContractChanged():
            new = _given(
                event,
                title="title",
                number="custom_id",
                organisation_id="organisation_id",
                account_manager_id="account_manager_id",
            )
        case ContractSigned():
            new = {"state": "signed"}
        case ContractCanceled():
            new = {"state": "canceled"}
        case ContractArchived():
            new = {"archived": True}
        case _:
            assert_never(event)
    return _after(entry, recorded, new)


def message(_entry: Entry | None, recorded: Recorded[MessageSent]) -> Entry:
    event = recorded.event
    return Entry(
        **begun(recorded),
        state="sent",
        text=event.text,
        user_ids=(event.sender_id, event.recipient_id),
        dialog_id=event.dialog_id,
        attachments=event.attachments,
    )


def notice(entry: Entry | None, recorded: Recorded[Notices]) -> Entry:
    event = recorded.event
    match event:
        case NoticePublished():
            return Entry(**begun(recorded), state="published", title=event.title, text=event.text)
        case NoticeChanged():
            new = _given(event, title="title", text="text")
        case NoticeWithdrawn():
            new = {"state": "withdrawn", "archived": True}
        case _:
            assert_never(event)
    return _after(entry, recorded, new)


def _given(event: Any, **names: str) -> dict[str, Any]:
    """Members of the entry by the fields of the event that tell them; what the event does not tell stays."""
    return {ours: value for ours, its in names.items() if (value := getattr(event, its)) is not UNSET}


def _told(names: Mapping[str, str | None]) -> dict[str, str]:
    """In the order in which they are read back, so that the row is the same wherever a batch ends."""
    return {name: value for name, value in sorted(names.items()) if value is not None}


def _after(entry: Entry | None, recorded: Recorded[Any], new: Mapping[str, Any]) -> Entry:
    assert entry is not None
    return replace(entry, **moved(recorded), **new)
