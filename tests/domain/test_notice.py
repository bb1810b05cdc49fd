"""Notices: articles that are read, banners that are looked at."""

from uuid import UUID

import pytest

from domain.file.guards import BINDING
from domain.notice.aggregate import NOTICE, NoticeInvalid, NoticeIsWithdrawn, NoticeUnknown
from domain.notice.commands import ChangeNotice, PublishNotice, WithdrawNotice
from domain.notice.events import NoticeChanged, NoticePublished, NoticeWithdrawn
from domain.notice.guards import guards
from domain.shared import Claim
from tests.scenario import given

ONE, TWO = UUID(int=1), UUID(int=2)
ARTICLE = NoticePublished(kind="article", title="Open on Monday", text="From nine o'clock on.")
BANNER = NoticePublished(kind="banner", file_id=ONE, order=3)
WITHDRAWN = NoticeWithdrawn(reason="It is over.")


def changing(**changes):
    return ChangeNotice(changes=changes)


def binding(*file_ids):
    return (Claim(kind=BINDING, values=tuple(map(str, file_ids))),)


def test_an_article_and_a_banner_are_published_once():
    article = PublishNotice(kind="article", title="Open on Monday", text="From nine o'clock on.")
    given(NOTICE).when(article).then(ARTICLE)
    given(NOTICE).when(PublishNotice(kind="banner", file_id=ONE, order=3)).then(BANNER)
    given(NOTICE, ARTICLE).when(article).then_nothing()


@pytest.mark.parametrize(
    ("command", "missing"),
    [
        (PublishNotice(kind="article", title="Open on Monday"), ["/text"]),
        (PublishNotice(kind="article", file_id=ONE), ["/title", "/text"]),
        (PublishNotice(kind="banner", title="Open on Monday", text="From nine on."), ["/file_id"]),
    ],
)
def test_what_makes_a_notice_of_its_kind_is_not_missing(command, missing):
    refusal = given(NOTICE).when(command).then_refused(NoticeInvalid)
    assert [error.pointer for error in refusal.errors] == missing


def test_only_what_becomes_another_value_changes():
    given(NOTICE, ARTICLE).when(changing(title="Open on Friday", order=0)).then(
        NoticeChanged(title="Open on Friday")
    )
    given(NOTICE, ARTICLE).when(changing(title="Open on Monday", order=0)).then_nothing()
    given(NOTICE, ARTICLE).when(changing(text=None)).then_refused(NoticeInvalid)
    given(NOTICE, BANNER).when(changing(file_id=None)).then_refused(NoticeInvalid)
    given(NOTICE).when(changing(title="Open on Friday")).then_refused(NoticeUnknown)


def test_an_image_that_was_shown_once_stays_its_own():
    another = NoticeChanged(file_id=TWO, bound=(ONE, TWO))
    given(NOTICE, BANNER).when(changing(file_id=str(TWO))).then(another)
    given(NOTICE, BANNER, another).when(changing(file_id=str(ONE))).then(NoticeChanged(file_id=ONE))
    assert guards(UUID(int=9), BANNER) == binding(ONE)
    assert guards(UUID(int=9), another) == binding(ONE, TWO)
    assert guards(UUID(int=9), ARTICLE) == guards(UUID(int=9), NoticeChanged(title="X")) == ()
    assert guards(UUID(int=9), WITHDRAWN) == ()


def test_what_is_withdrawn_stays_so():
    withdraw = WithdrawNotice(reason="It is over.")
    given(NOTICE, ARTICLE).when(withdraw).then(WITHDRAWN)
    given(NOTICE, ARTICLE, WITHDRAWN).when(withdraw).then_nothing()
    given(NOTICE, ARTICLE, WITHDRAWN).when(changing(title="X")).then_refused(NoticeIsWithdrawn)
    given(NOTICE).when(withdraw).then_refused(NoticeUnknown)
