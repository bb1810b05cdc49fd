"""What is asked about rights, as AuthZEN 1.0 (OpenID Authorization API) writes it, and what it means here."""

import re
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from api.fields import Body, Instant
from api.queries.past import MomentMalformed
from api.reader import BodyInvalid
from application.evaluation import Thing
from domain.shared import FieldError
from projections.lists import PAGE_SIZE

UUID_FORM = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Word = Annotated[str, Meta(min_length=1, max_length=64, examples=["organisation"])]
Named = Annotated[str, Meta(min_length=1, max_length=512, examples=["01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07"])]
Act = Annotated[str, Meta(min_length=1, max_length=128, examples=["contract:sign"])]
Properties = dict[str, Any]


class SubjectBody(Body, frozen=True, kw_only=True):
    """A user, by his id or as an identity provider calls him (`properties.issuer`, else the first configured), or an
    API client by its id.
    """

    type: Literal["user", "client"]
    id: Named
    properties: Properties | None = None


class SubjectsBody(Body, frozen=True, kw_only=True):
    """Which kind of subjects; an `id` is overlooked, as AuthZEN says."""

    type: Literal["user", "client"]
    id: str | None = None
    properties: Properties | None = None


class ActionBody(Body, frozen=True, kw_only=True):
    """`contract:sign`, or `sign` alone, whose module then is the resource's type."""

    name: Act
    properties: Properties | None = None


class ResourceBody(Body, frozen=True, kw_only=True):
    """A record of ours (contact, contract, grant, organisation, user), or a scope: `site/tw-main`, `global/*`."""

    type: Word
    id: Named
    properties: Properties | None = None


class ContextBody(Body, frozen=True, kw_only=True):
    """`as_of`: an instant, a position, or an event's id. `proved_at`: when the password was proved last."""

    as_of: Annotated[str, Meta(max_length=64, examples=["2026-03-01T09:30:00Z"])] | int | None = None
    explain: bool = False
    proved_at: Instant | None = None


NOW = ContextBody()


class EvaluationBody(Body, frozen=True, kw_only=True):
    subject: SubjectBody
    action: ActionBody
    resource: ResourceBody
    context: ContextBody = NOW


class PartBody(Body, frozen=True, kw_only=True):
    """What it does not say, the whole request says."""

    subject: SubjectBody | None = None
    action: ActionBody | None = None
    resource: ResourceBody | None = None
    context: ContextBody | None = None


class OptionsBody(Body, frozen=True, kw_only=True):
    evaluations_semantic: Literal["execute_all", "deny_on_first_deny", "permit_on_first_permit"] = (
        "execute_all"
    )


class EvaluationsBody(PartBody, frozen=True, kw_only=True):
    evaluations: list[PartBody]
    options: OptionsBody = OptionsBody()


class PageBody(Body, frozen=True, kw_only=True):
    token: Annotated[str, Meta(max_length=256)] | None = None
    limit: Annotated[int, Meta(ge=1)] = PAGE_SIZE
    properties: Properties | None = None


FIRST = PageBody()


class SearchBody(Body, frozen=True, kw_only=True):
    subject: SubjectsBody
    action: ActionBody
    resource: ResourceBody
    context: ContextBody = NOW
    page: PageBody = FIRST


class ScopeBody(Struct, frozen=True):
    type: str
    id: str


def as_of(given: str | int) -> datetime | int | UUID:
    """Raises MomentMalformed."""
    text = str(given)
    if re.fullmatch(r"[0-9]{1,18}", text):
        return int(text)
    if UUID_FORM.fullmatch(text):
        return UUID(text)
    try:
        instant: datetime = msgspec.convert(text, Annotated[datetime, Meta(tz=True)])
    except msgspec.ValidationError:
        raise MomentMalformed("An instant with an offset (RFC 3339), a position, or an event's id.") from None
    return instant


def right(action: ActionBody, resource: ResourceBody) -> str:
    return action.name if ":" in action.name else f"{resource.type}:{action.name}"


def thing(resource: ResourceBody) -> Thing:
    """Raises BodyInvalid."""
    try:
        scopes = msgspec.convert(
            (resource.properties or {}).get("scopes", ()),
            Annotated[tuple[ScopeBody, ...], Meta(max_length=20)],
        )
    except msgspec.ValidationError:
        wrong = FieldError(
            pointer="/resource/properties/scopes", code="type", detail="At most 20 of {type, id}."
        )
        raise BodyInvalid(errors=(wrong,)) from None
    return Thing(type=resource.type, id=resource.id, scopes=tuple((each.type, each.id) for each in scopes))


def whole(data: EvaluationsBody, part: PartBody, place: str) -> EvaluationBody:
    """Raises BodyInvalid when neither says it."""
    subject, action, resource = (
        part.subject or data.subject,
        part.action or data.action,
        part.resource or data.resource,
    )
    if subject is None or action is None or resource is None:
        given = {"subject": subject, "action": action, "resource": resource}
        raise BodyInvalid(
            errors=tuple(
                FieldError(pointer=f"{place}/{name}", code="required", detail="This is missing.")
                for name, value in given.items()
                if value is None
            )
        )
    context = part.context or data.context or NOW
    return EvaluationBody(subject=subject, action=action, resource=resource, context=context)
