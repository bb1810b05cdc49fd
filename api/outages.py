"""What the infrastructure cannot do now, as the outside sees it."""

import psycopg

from api.conditions import PositionUnknown, ProjectionBehind
from api.errors import Refusal, refusal
from api.problems import NotFound, Problem, Unavailable
from application.file_content import ObjectMissing
from infrastructure import postgres
from infrastructure.bounded import Busy
from infrastructure.object_parts import StoreUnavailable
from infrastructure.personal_data import SubjectErased
from infrastructure.positions import Behind, BeyondHead


class PersonErased(Problem):
    """The person this is about, or who asks for it, was erased; nothing can be written for them any more."""

    code, status = "subject.erased", 409


@refusal.register
def _of_database(_: postgres.Unavailable) -> Refusal:
    return refusal(Unavailable("The database is away for the moment; nothing was changed."))


@refusal.register
def _of_missing_table(_: psycopg.errors.UndefinedTable) -> Refusal:
    """A fresh system: the read model's projector has not made its table yet."""
    return refusal(ProjectionBehind(0))


@refusal.register
def _of_full_pool(error: Busy) -> Refusal:
    return refusal(Unavailable("Too much of this is going on at once.", retry_after=error.retry_after))


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
def _of_future(_: BeyondHead) -> Refusal:
    return refusal(PositionUnknown())


@refusal.register
def _of_erasure(_: SubjectErased) -> Refusal:
    return refusal(PersonErased())
