"""Files as the read model shows them: always two in a test, so that a lost condition is noticed."""

from datetime import UTC, datetime
from uuid import UUID

import pytest
from msgspec import structs

from domain.file.events import FileReceived, FileRemoved, FileTextRead, FileUploadBegan, FileUploaded
from projections.file import FILES
from tests.scenario import given

pytestmark = pytest.mark.anyio

ONE, OTHER, OWNER = UUID(int=1), UUID(int=2), UUID(int=3)
ABOUT = {"owner_id": OWNER, "purpose": "document", "size": 3}
BEGAN = FileUploadBegan(**ABOUT, name="a.pdf", expires_at=datetime(2026, 5, 3, tzinfo=UTC))
RECEIVED = FileReceived(object_id=UUID(int=4), content_type="application/pdf")
UPLOADED = FileUploaded(
    **ABOUT, name="b.pdf", content_type="application/pdf", sha256="ab", object_id=UUID(int=5)
)


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_file_is_shown_as_far_as_it_has_come(dsn, batch):
    shown = await given(FILES, (ONE, BEGAN), (OTHER, UPLOADED)).delivered(dsn, times=2, batch=batch)
    assert [(each.state, each.name, each.sha256, each.object_id) for each in (shown[ONE], shown[OTHER])] == [
        ("pending", "a.pdf", None, None),
        ("stored", "b.pdf", "ab", UUID(int=5)),
    ]
    assert {each.owner_id for each in shown.values()} == {OWNER}


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_large_one_is_checking_until_it_was_read(dsn, batch):
    shown = await given(FILES, (ONE, BEGAN), (OTHER, BEGAN), (ONE, RECEIVED)).delivered(dsn, batch=batch)
    assert [(shown[each].state, shown[each].content_type) for each in (ONE, OTHER)] == [
        ("checking", "application/pdf"),
        ("pending", None),
    ]
    assert (shown[ONE].version, shown[OTHER].version) == (2, 1)


async def test_what_was_announced_keeps_its_birthday_when_it_is_stored(dsn):
    shown = await given(FILES, (ONE, BEGAN), (OTHER, BEGAN), (ONE, RECEIVED), (ONE, UPLOADED)).delivered(dsn)
    assert (shown[ONE].state, shown[ONE].sha256, shown[ONE].version) == ("stored", "ab", 3)
    assert shown[ONE].created_at < shown[ONE].updated_at
    assert shown[OTHER].state == "pending"


async def test_a_removed_file_is_not_shown(dsn):
    other = structs.replace(UPLOADED, object_id=UUID(int=6))
    facts = ((ONE, UPLOADED), (OTHER, other), (ONE, FileRemoved(reason="unbound")))
    assert (await given(FILES, *facts).delivered(dsn, times=2)).keys() == {OTHER}


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_file_shows_what_became_of_reading_its_text(dsn, batch):
    read = ONE, FileTextRead(outcome="read", characters=9, sha256="cd")
    other = OTHER, structs.replace(UPLOADED, object_id=UUID(int=6))
    shown = await given(FILES, (ONE, UPLOADED), other, read).delivered(dsn, times=2, batch=batch)
    assert [(shown[each].text, shown[each].version) for each in (ONE, OTHER)] == [("read", 2), (None, 1)]
