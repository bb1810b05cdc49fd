"""Imports as those who run them know them."""

from uuid import UUID

import pytest

from domain.imports.events import (
    Counts,
    ImportApplied,
    ImportApplyBegan,
    ImportCanceled,
    ImportFailed,
    ImportPreviewed,
    ImportStarted,
)
from domain.shared import SYSTEM, Actor
from projections.imports import IMPORTS
from tests.scenario import given

pytestmark = pytest.mark.anyio
ONE, TWO, THREE = UUID(int=1), UUID(int=2), UUID(int=3)
WHO = Actor(kind="user", id=UUID(int=9))


def started(stream, kind):
    return ImportStarted(kind=kind, mode="fill", name="a.xml", size=3, sha256="00", object_id=stream)


PREVIEWED = ImportPreviewed(format="egrul", encoding="utf-8", total=3, counts=Counts(added=2, failed=1))


async def test_three_imports_come_to_their_ends(dsn):
    seen = await given(
        IMPORTS,
        (ONE, started(ONE, "egrul")),
        (TWO, started(TWO, "organisations")),
        (THREE, started(THREE, "postal-index")),
        (ONE, PREVIEWED),
        (TWO, ImportFailed(error="file.empty", detail="The file is empty.")),
        (THREE, PREVIEWED),
        (ONE, ImportApplyBegan(kind="egrul", applied_by=WHO)),
        (THREE, ImportCanceled()),
        (ONE, ImportApplied(counts=Counts(added=1, failed=2))),
    ).delivered(dsn, times=2)
    assert [seen[each].state for each in (ONE, TWO, THREE)] == ["applied", "failed", "canceled"]
    assert (seen[ONE].counts, seen[ONE].total, seen[ONE].applied_by) == (Counts(added=1, failed=2), 3, WHO)
    assert seen[ONE].started_by == Actor(kind="system", id=SYSTEM)
    assert seen[TWO].error == "file.empty"
    assert seen[THREE].counts == PREVIEWED.counts
