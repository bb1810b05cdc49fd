"""What follows from a fact: pure functions from a recorded event to what Chancery does by itself.

A reaction's name and the event's id make its key, so that a repeat is answered, not repeated.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID

from msgspec import UNSET, Struct

from application.letter_brought import Brought
from domain.contact.events import ContactChanged, ContactErased
from domain.contract.events import ContractSigned, Credited, Invoiced, OccasionAssigned
from domain.document.events import DocumentRecorded, Letter
from domain.export.events import ExportRequested
from domain.file.content import READABLE
from domain.file.events import FileReceived, FileUploaded
from domain.imports.events import ImportApplied, ImportApplyBegan, ImportCanceled, ImportFailed, ImportStarted
from domain.letter.events import LetterFellDue
from domain.message.events import MessageSent
from domain.organisation.events import OrganisationChanged
from domain.shared import SYSTEM, Event, Recorded
from domain.user.events import UserChanged, UserErased, UserPasswordChanged, UserPasswordReset
from domain.user.notifications import ACCOUNT, LETTER_DUE, MESSAGE_NEW


class Tell(Struct, frozen=True, kw_only=True):
    """A message from Chancery itself to a user."""

    user_id: UUID
    text: str


class Ask(Struct, frozen=True, kw_only=True):
    """An operation: work that touches the outside."""

    kind: str
    about: dict[str, Any]


class Reassign(Struct, frozen=True, kw_only=True):
    """Another answers for an organisation or a contact: so do the account managers of its contracts."""

    party_id: UUID


class Notify(Struct, frozen=True, kw_only=True):
    """A mail to a user, if he wants such `notice`, `after` a while in which he may see it for himself. `about`: ids
    alone; what is personal is looked up when it is written. `once`: what else asks for the same asks for nothing.
    """

    user_id: UUID
    notice: str
    about: dict[str, Any]
    after: timedelta = timedelta()
    once: str | None = None


Effect = Tell | Ask | Reassign | Brought | Notify


class Reaction(Struct, frozen=True, kw_only=True):
    """`when` such an event is recorded, `then` says what follows from it. `by_mail`: mails, and nothing else."""

    name: str
    when: type[Event]
    then: Callable[[Recorded[Any]], tuple[Effect, ...]]
    by_mail: bool = False


def reactions(*, mail: bool) -> tuple[Reaction, ...]:
    """Every Reaction that stands in this module; without a mail server none that mails."""
    found = (value for value in globals().values() if isinstance(value, Reaction))
    return tuple(each for each in found if mail or not each.by_mail)


def _signed(recorded: Recorded[ContractSigned]) -> tuple[Effect, ...]:
    contract = recorded.event
    manager_id = contract.account_manager_id
    if manager_id is None or manager_id == contract.signed_by:
        return ()  # he knows
    name = " ".join(part for part in (contract.custom_id, contract.title) if part) or str(recorded.stream_id)
    return (Tell(user_id=manager_id, text=f"Contract {name} was signed."),)


def _invoiced(recorded: Recorded[Invoiced]) -> tuple[Effect, ...]:
    invoice = {"contract_id": str(recorded.stream_id), "invoice_id": str(recorded.event.invoice_id)}
    return (Ask(kind="invoice.render", about=invoice),)


def _credited(recorded: Recorded[Credited]) -> tuple[Effect, ...]:
    note = {"contract_id": str(recorded.stream_id), "credit_note_id": str(recorded.event.credit_note_id)}
    return (Ask(kind="credit_note.render", about=note),)


def _assigned(recorded: Recorded[OccasionAssigned]) -> tuple[Effect, ...]:
    occasion = recorded.event
    if occasion.user_id is None or occasion.user_id == recorded.metadata.actor.id:
        return ()
    when = f"{occasion.starts_at:%Y-%m-%d %H:%M} to {occasion.ends_at:%Y-%m-%d %H:%M} UTC"
    return (Tell(user_id=occasion.user_id, text=f"{occasion.title}, {when}, is yours to hold."),)


def _received(recorded: Recorded[FileReceived]) -> tuple[Effect, ...]:
    return (Ask(kind="file.recheck", about={"file_id": str(recorded.stream_id)}),)


def _uploaded(recorded: Recorded[FileUploaded]) -> tuple[Effect, ...]:
    if recorded.event.content_type not in READABLE:
        return ()
    return (Ask(kind="file.read_text", about={"file_id": str(recorded.stream_id)}),)


def _started(recorded: Recorded[ImportStarted]) -> tuple[Effect, ...]:
    return (Ask(kind="import.read", about={"import_id": str(recorded.stream_id)}),)


def _apply_began(recorded: Recorded[ImportApplyBegan]) -> tuple[Effect, ...]:
    return (Ask(kind="import.apply", about={"import_id": str(recorded.stream_id)}),)


def _over(recorded: Recorded[ImportApplied | ImportCanceled | ImportFailed]) -> tuple[Effect, ...]:
    return (Ask(kind="import.clear", about={"import_id": str(recorded.stream_id)}),)


def _wanted(recorded: Recorded[ExportRequested]) -> tuple[Effect, ...]:
    return (Ask(kind="export.run", about={"export_id": str(recorded.stream_id)}),)


def _brought(recorded: Recorded[DocumentRecorded]) -> tuple[Effect, ...]:
    document = recorded.event
    if document.letter in (None, Letter()):
        return ()
    return (
        Brought(
            document_id=recorded.stream_id,
            organisation_id=document.organisation_id,
            type_id=document.type_id,
            letter=document.letter,
        ),
    )


def _user_erased(recorded: Recorded[UserErased]) -> tuple[Effect, ...]:
    about = {"user_id": str(recorded.stream_id), "position": recorded.position}
    return (Ask(kind="user.forget", about=about),)


def _contact_erased(recorded: Recorded[ContactErased]) -> tuple[Effect, ...]:
    about = {"contact_id": str(recorded.stream_id), "position": recorded.position}
    return (Ask(kind="contact.forget", about=about),)


def _answered_for(recorded: Recorded[ContactChanged]) -> tuple[Effect, ...]:
    return () if recorded.event.responsible_id is UNSET else (Reassign(party_id=recorded.stream_id),)


def _managed(recorded: Recorded[OrganisationChanged]) -> tuple[Effect, ...]:
    return () if recorded.event.account_manager_id is UNSET else (Reassign(party_id=recorded.stream_id),)


AWAY = timedelta(minutes=5)
"""Who has not read a message for so long is not there. All that is sent in a dialog within so long is looked after at
once, when the youngest of it is that old.
"""


def _sent(recorded: Recorded[MessageSent]) -> tuple[Effect, ...]:
    message = recorded.event
    if message.recipient_id == SYSTEM:
        return ()  # nobody is there
    dialog, span = str(message.dialog_id), int(recorded.recorded_at.timestamp() // AWAY.total_seconds())
    return (
        Notify(
            user_id=message.recipient_id,
            notice=MESSAGE_NEW,
            about={"dialog_id": dialog},
            after=2 * AWAY,
            once=f"{dialog} {span}",
        ),
    )


def _fell_due(recorded: Recorded[LetterFellDue]) -> tuple[Effect, ...]:
    about = {"letter_id": str(recorded.stream_id), "due_on": recorded.event.due_on.isoformat()}
    return tuple(Notify(user_id=each, notice=LETTER_DUE, about=about) for each in recorded.event.user_ids)


def _account(what: str) -> Callable[[Recorded[Any]], tuple[Effect, ...]]:
    def then(recorded: Recorded[Any]) -> tuple[Effect, ...]:
        about = {"what": what, "version": recorded.version}
        return (Notify(user_id=recorded.stream_id, notice=ACCOUNT, about=about),)

    return then


def _email_changed(recorded: Recorded[UserChanged]) -> tuple[Effect, ...]:
    """Told at the address of before: whoever took the account over has the other one."""
    return () if recorded.event.email is UNSET else _account("email_changed")(recorded)


MAIL_RECIPIENT_WHEN_MESSAGE_SENT = Reaction(
    name="mail_recipient_when_message_sent", when=MessageSent, then=_sent, by_mail=True
)
MAIL_WHEN_LETTER_FELL_DUE = Reaction(
    name="mail_when_letter_fell_due", when=LetterFellDue, then=_fell_due, by_mail=True
)
MAIL_WHEN_PASSWORD_CHANGED = Reaction(
    name="mail_when_password_changed",
    when=UserPasswordChanged,
    then=_account("password_changed"),
    by_mail=True,
)
MAIL_WHEN_PASSWORD_RESET = Reaction(
    name="mail_when_password_reset", when=UserPasswordReset, then=_account("password_reset"), by_mail=True
)
MAIL_WHEN_EMAIL_CHANGED = Reaction(
    name="mail_when_email_changed", when=UserChanged, then=_email_changed, by_mail=True
)
TELL_ACCOUNT_MANAGER_WHEN_CONTRACT_SIGNED = Reaction(
    name="tell_account_manager_when_contract_signed", when=ContractSigned, then=_signed
)
TELL_ASSIGNEE_WHEN_OCCASION_ASSIGNED = Reaction(
    name="tell_assignee_when_occasion_assigned", when=OccasionAssigned, then=_assigned
)
RENDER_INVOICE_WHEN_ISSUED = Reaction(name="render_invoice_when_issued", when=Invoiced, then=_invoiced)
RENDER_CREDIT_NOTE_WHEN_ISSUED = Reaction(
    name="render_credit_note_when_issued", when=Credited, then=_credited
)
RECHECK_FILE_WHEN_RECEIVED = Reaction(name="recheck_file_when_received", when=FileReceived, then=_received)
READ_TEXT_WHEN_FILE_UPLOADED = Reaction(
    name="read_text_when_file_uploaded", when=FileUploaded, then=_uploaded
)
REASSIGN_CONTRACTS_WHEN_CONTACT_CHANGED = Reaction(
    name="reassign_contracts_when_contact_changed", when=ContactChanged, then=_answered_for
)
REASSIGN_CONTRACTS_WHEN_ORGANISATION_CHANGED = Reaction(
    name="reassign_contracts_when_organisation_changed", when=OrganisationChanged, then=_managed
)
REGISTER_LETTER_WHEN_DOCUMENT_RECORDED = Reaction(
    name="register_letter_when_document_recorded", when=DocumentRecorded, then=_brought
)
FORGET_USER_WHEN_ERASED = Reaction(name="forget_user_when_erased", when=UserErased, then=_user_erased)
FORGET_CONTACT_WHEN_ERASED = Reaction(
    name="forget_contact_when_erased", when=ContactErased, then=_contact_erased
)
RUN_EXPORT_WHEN_REQUESTED = Reaction(name="run_export_when_requested", when=ExportRequested, then=_wanted)
READ_IMPORT_WHEN_STARTED = Reaction(name="read_import_when_started", when=ImportStarted, then=_started)
APPLY_IMPORT_WHEN_APPLY_BEGAN = Reaction(
    name="apply_import_when_apply_began", when=ImportApplyBegan, then=_apply_began
)
CLEAR_IMPORT_WHEN_APPLIED = Reaction(name="clear_import_when_applied", when=ImportApplied, then=_over)
CLEAR_IMPORT_WHEN_CANCELED = Reaction(name="clear_import_when_canceled", when=ImportCanceled, then=_over)
CLEAR_IMPORT_WHEN_FAILED = Reaction(name="clear_import_when_failed", when=ImportFailed, then=_over)
