"""Notices as the read model shows them: always two, so that a lost condition is noticed."""

from uuid import UUID

import pytest

from domain.notice.events import NoticeChanged, NoticePublished, NoticeWithdrawn
from projections.notice import NOTICES
from tests.scenario import given

pytestmark = pytest.mark.anyio
ONE, TWO, IMAGE = (UUID(int=n) for n in range(1, 4))
ARTICLE = ONE, NoticePublished(kind="article", title="Open on Monday", text="From nine o'clock on.")
BANNER = TWO, NoticePublished(kind="banner", file_id=IMAGE, order=3)


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_notice_shows_what_it_says_now(dsn, batch):
    changed = ONE, NoticeChanged(title="Open on Friday", order=1)
    views = await given(NOTICES, ARTICLE, BANNER, changed).delivered(dsn, times=2, batch=batch)
    assert (views[ONE].title, views[ONE].text, views[ONE].order) == (
        "Open on Friday",
        "From nine o'clock on.",
        1,
    )
    assert (views[TWO].title, views[TWO].file_id, views[TWO].order) == (None, IMAGE, 3)
    assert (views[ONE].version, views[TWO].version) == (2, 1)


@pytest.mark.parametrize("batch", [1, 500])
async def test_a_withdrawn_one_says_why_and_the_other_stays(dsn, batch):
    gone = ONE, NoticeWithdrawn(reason="It is over.")
    views = await given(NOTICES, ARTICLE, BANNER, gone).delivered(dsn, times=2, batch=batch)
    assert (views[ONE].state, views[ONE].withdraw_reason, views[ONE].archived) == (
        "withdrawn",
        "It is over.",
        True,
    )
    assert (views[TWO].state, views[TWO].archived) == ("published", False)
