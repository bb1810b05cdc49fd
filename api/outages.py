"""What the infrastructure cannot do now, as the outside sees it."""

import psycopg

from api.conditions import PositionUnknown, ProjectionBehind
from api.errors import Refusal, refusal
from api.problems import NotFound, Overloaded, Problem, RateLimited, Unavailable
from application.file_content import ObjectMissing
from application.lookup import LookupUnavailable
from application.proof import Throttled
from application.provider import ProviderNotConfigured, ProviderUnavailable
from application.session import RefreshedTooOften
from infrastructure import postgres, writer
from infrastructure.bounded import Busy
from infrastructure.object_parts import StoreUnavailable
from infrastructure.personal_data import SubjectErased
from infrastructure.positions import Behind, BeyondHead, Parked


class PersonErased(Problem):
    """The person this is about, or who asks for it, was erased; nothing can be written for them any more."""

    code, status = "subject.erased", 409


class IdentityProviderUnavailable(Unavailable):
    """The identity provider that this needs is away. What was asked of it is kept where the answer says so."""

    code, status = "identity_provider_unavailable", 503


@refusal.register
def _of_provider(error: ProviderUnavailable) -> Refusal:
    return refusal(IdentityProviderUnavailable(retry_after=error.retry_after))


class IdentityProviderNotConfigured(Unavailable):
    """This installation knows no identity provider's admin API, so nobody can be made there."""

    code, status = "identity_provider_not_configured", 503


@refusal.register
def _of_no_provider(_: ProviderNotConfigured) -> Refusal:
    return refusal(IdentityProviderNotConfigured(retry_after=60))


class RegisterUnavailable(Unavailable):
    """The register or service that is looked into cannot be asked now. What it would have filled in can be typed."""

    code, status = "lookup_unavailable", 503


@refusal.register
def _of_lookup(error: LookupUnavailable) -> Refusal:
    return refusal(
        RegisterUnavailable(
            error.detail,
            retry_after=error.retry_after,
            hint="Nothing else waits for it: POST /organisations takes what you type.",
        )
    )


@refusal.register
def _of_database(_: postgres.Unavailable) -> Refusal:
    return refusal(Unavailable("The database is away for the moment; nothing was changed."))


@refusal.register
def _of_full_queue(error: writer.Overloaded) -> Refusal:
    return refusal(Overloaded(f"{error}; nothing was changed.".capitalize()))


@refusal.register
def _of_missing_table(_: psycopg.errors.UndefinedTable) -> Refusal:
    """A fresh system: the read model's projector has not made its table yet."""
    return refusal(ProjectionBehind(0))


@refusal.register
def _of_full_pool(error: Busy) -> Refusal:
    return refusal(Unavailable("Too much of this is going on at once.", retry_after=error.retry_after))


@refusal.register
def _of_guessing(error: Throttled) -> Refusal:
    """The same for a login that exists and one that does not."""
    wait = {"retry-after": str(error.retry_after)}
    return refusal(RateLimited("Too many passwords were wrong. Wait before you try again.", headers=wait))


@refusal.register
def _of_haste(error: RefreshedTooOften) -> Refusal:
    return refusal(RateLimited(headers={"retry-after": str(error.retry_after)}))


@refusal.register
def _of_object_store(_: StoreUnavailable) -> Refusal:
    return refusal(Unavailable("The object store is away for the moment; nothing was kept.", retry_after=5))


@refusal.register
def _of_lost_object(_: ObjectMissing) -> Refusal:
    return refusal(NotFound("The content of this file is gone."))


@refusal.register
def _of_lag(error: Behind) -> Refusal:
    return refusal(ProjectionBehind(error.position))


@refusal.register
def _of_parked(error: Parked) -> Refusal:
    detail = "An event of this record cannot be shown: since then it waits until somebody has mended that."
    return refusal(ProjectionBehind(error.position, detail, retry_after=60))


@refusal.register
def _of_future(_: BeyondHead) -> Refusal:
    return refusal(PositionUnknown())


@refusal.register
def _of_erasure(_: SubjectErased) -> Refusal:
    return refusal(PersonErased())
