"""POST and PATCH of contacts."""

from typing import Annotated, Any

import msgspec
from litestar import Router, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.fields import Body, Change, Email, Id, Name, Nothing, Phone, Reason
from api.openapi import problems
from api.refs import Ref, id_of
from application.contact import Contacts, oneself
from application.party import ResponsibleUnknown
from domain.contact.aggregate import ContactIsArchived, ContactIsErased, ContactNameless, ContactUnknown
from domain.contact.commands import AddContact, ArchiveContact, ChangeContact
from domain.organisation.aggregate import OrganisationIsArchived, OrganisationUnknown

PATH = "/api/v1/contacts"

Civility = Annotated[str, Meta(min_length=1, max_length=20, examples=["MME"])]


class AddContactBody(Body, frozen=True, kw_only=True):
    """Without `responsible_id` you answer for the contact yourself."""

    civility: Civility | None = None
    first_name: Name | None = None
    last_name: Name | None = None
    patronymic: Name | None = None
    job_title: Name | None = None
    department: Name | None = None
    email: Email | None = None
    phone: Phone | None = None
    is_main: bool = False
    responsible_id: Change[Id] = UNSET


class ChangeContactBody(Body, frozen=True, kw_only=True):
    """Absent: unchanged; null: cleared."""

    civility: Change[Civility] = UNSET
    first_name: Change[Name] = UNSET
    last_name: Change[Name] = UNSET
    patronymic: Change[Name] = UNSET
    job_title: Change[Name] = UNSET
    department: Change[Name] = UNSET
    email: Change[Email] = UNSET
    phone: Change[Phone] = UNSET
    is_main: bool | UnsetType = UNSET
    responsible_id: Change[Id] = UNSET


class ArchiveContactBody(Nothing, frozen=True, kw_only=True):
    reason: Reason | None = None


def routes(contacts: Contacts) -> list[Router]:
    @post(
        "/{ref:str}/contacts",
        responses=problems(OrganisationUnknown, OrganisationIsArchived, ContactNameless, ResponsibleUnknown),
    )
    async def add_contact(
        request: Asked,
        ref: Ref,
        data: JSONBody[AddContactBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Add a person one deals with there. To name another responsible than yourself takes contact:assign."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        given: dict[str, Any] = msgspec.to_builtins(data)
        responsible_id = oneself(asked) if data.responsible_id is UNSET else data.responsible_id
        command = msgspec.convert(
            {**given, "organisation_id": id_of(ref), "responsible_id": responsible_id}, AddContact
        )
        return answered(await contacts.add(command, asked), at=PATH)

    @patch(
        "/{ref:str}",
        responses=problems(
            ContactUnknown, ContactIsArchived, ContactIsErased, ContactNameless, ResponsibleUnknown
        ),
    )
    async def change_contact(
        request: Asked,
        ref: Ref,
        data: JSONBody[ChangeContactBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change what stands in the body. Another responsible takes contact:assign."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        changes: dict[str, Any] = msgspec.to_builtins(data)
        return answered(await contacts.change(id_of(ref), ChangeContact(changes=changes), asked))

    @post("/{ref:str}/archive", status_code=200, responses=problems(ContactUnknown, ContactIsErased))
    async def archive_contact(
        request: Asked,
        ref: Ref,
        data: JSONBody[ArchiveContactBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Archive the contact: what names it goes on naming it."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await contacts.archive(id_of(ref), as_command(data, ArchiveContact), asked))

    return [
        Router("/organisations", route_handlers=[add_contact], tags=["Contacts"]),
        Router("/contacts", route_handlers=[change_contact, archive_contact], tags=["Contacts"]),
    ]
