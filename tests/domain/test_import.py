"""An import's life, command by command: the right events; says no; stays quiet when there is nothing to do."""

from uuid import UUID

import pytest

from domain.imports.aggregate import (
    IMPORT,
    ImportExists,
    ImportHasFailed,
    ImportIsApplied,
    ImportIsCanceled,
    ImportNotPreviewed,
    ImportUnknown,
)
from domain.imports.commands import (
    ApplyImport,
    CancelImport,
    FailImport,
    FinishImport,
    PreviewImport,
    StartImport,
)
from domain.imports.events import (
    Counts,
    ImportApplied,
    ImportApplyBegan,
    ImportCanceled,
    ImportFailed,
    ImportPreviewed,
    ImportStarted,
)
from domain.imports.guards import OBJECT, RUNNING, guards
from domain.shared import Actor, Claim
from tests.scenario import given

ID, WHO = UUID(int=7), Actor(kind="user", id=UUID(int=1))
FILE = {"kind": "egrul", "mode": "fill", "name": "a.xml", "size": 3, "sha256": "00", "object_id": ID}
FOUND = {"format": "egrul", "encoding": "utf-8", "total": 3, "counts": Counts(added=3)}
STARTED, PREVIEWED = ImportStarted(**FILE), ImportPreviewed(**FOUND)
BEGAN = ImportApplyBegan(kind="egrul", applied_by=WHO)
APPLIED, CANCELED = ImportApplied(counts=Counts(added=3)), ImportCanceled()
FAILED = ImportFailed(error="file.empty", detail="The file is empty.")
FAIL = FailImport(error="file.empty", detail="The file is empty.")

ENDS = {
    "applied": (STARTED, PREVIEWED, BEGAN, APPLIED),
    "canceled": (STARTED, CANCELED),
    "failed": (STARTED, FAILED),
}


def test_it_lives_from_a_file_to_its_rows():
    given(IMPORT).when(StartImport(**FILE)).then(STARTED)
    given(IMPORT, STARTED).when(PreviewImport(**FOUND)).then(PREVIEWED)
    given(IMPORT, STARTED, PREVIEWED).when(ApplyImport(applied_by=WHO)).then(BEGAN)
    given(IMPORT, STARTED, PREVIEWED, BEGAN).when(FinishImport(counts=Counts(added=3))).then(APPLIED)


@pytest.mark.parametrize("events", [(STARTED,), (STARTED, PREVIEWED), (STARTED, PREVIEWED, BEGAN)])
def test_it_is_canceled_at_any_moment_before_it_is_done(events):
    given(IMPORT, *events).when(CancelImport()).then(CANCELED)


@pytest.mark.parametrize("events", [(STARTED,), (STARTED, PREVIEWED, BEGAN)])
def test_what_is_at_work_may_fail(events):
    given(IMPORT, *events).when(FAIL).then(FAILED)


def test_nothing_happens_twice():
    given(IMPORT, STARTED).when(StartImport(**FILE)).then_refused(ImportExists)
    given(IMPORT, STARTED, PREVIEWED, BEGAN).when(ApplyImport(applied_by=WHO)).then_nothing()
    given(IMPORT, *ENDS["applied"]).when(ApplyImport(applied_by=WHO)).then_nothing()
    given(IMPORT, *ENDS["canceled"]).when(CancelImport()).then_nothing()


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
@pytest.mark.parametrize("late", [PreviewImport(**FOUND), FinishImport(counts=Counts()), FAIL])
def test_a_job_that_comes_too_late_says_nothing(end, late):
    given(IMPORT, *end).when(late).then_nothing()


def test_it_is_applied_when_it_was_previewed_and_not_otherwise():
    for events, refused in (
        ((), ImportUnknown),
        ((STARTED,), ImportNotPreviewed),
        (ENDS["canceled"], ImportIsCanceled),
        (ENDS["failed"], ImportHasFailed),
    ):
        given(IMPORT, *events).when(ApplyImport(applied_by=WHO)).then_refused(refused)


def test_what_is_over_is_not_canceled():
    for events, refused in (
        ((), ImportUnknown),
        (ENDS["applied"], ImportIsApplied),
        (ENDS["failed"], ImportHasFailed),
    ):
        given(IMPORT, *events).when(CancelImport()).then_refused(refused)


def test_its_kind_is_its_own_while_it_is_at_work_and_its_file_until_it_is_over():
    held, free = Claim(kind=RUNNING, values=("egrul",)), Claim(kind=RUNNING, values=())
    assert guards(ID, STARTED) == (held, Claim(kind=OBJECT, values=(str(ID),)))
    assert guards(ID, PREVIEWED) == (free,)
    assert guards(ID, BEGAN) == (held,)
    for end in (APPLIED, CANCELED, FAILED):
        assert guards(ID, end) == (free, Claim(kind=OBJECT, values=()))
