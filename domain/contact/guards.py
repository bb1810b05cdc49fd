"""What a contact keeps for itself: that one may deal with him, and who answers for him."""

from typing import assert_never
from uuid import UUID

from msgspec import UnsetType

from domain.contact.events import ContactAdded, ContactArchived, ContactChanged, ContactErased, ContactEvent
from domain.shared import Claim, Forgotten, Guard, Responsible

OPEN = "contact.open"
"""Required by whatever names a contact of an organisation; the value is `<organisation>:<contact>`."""


def guards(stream_id: UUID, event: ContactEvent) -> tuple[Guard, ...]:
    match event:
        case ContactAdded():
            place = standing(event.organisation_id, stream_id)
            return Claim(kind=OPEN, values=(place,)), Responsible(user_id=event.responsible_id)
        case ContactChanged():
            if isinstance(event.responsible_id, UnsetType):
                return ()
            return (Responsible(user_id=event.responsible_id),)
        case ContactArchived():
            return (Claim(kind=OPEN, values=()),)
        case ContactErased():
            return Claim(kind=OPEN, values=()), Forgotten()
        case _:
            assert_never(event)


def standing(organisation_id: UUID, contact_id: UUID) -> str:
    return f"{organisation_id}:{contact_id}"
