"""POST and PATCH of notices."""

from typing import Annotated, Any, Literal

import msgspec
from litestar import Router, patch, post
from litestar.params import JSONBody
from msgspec import UNSET, Meta, UnsetType

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, IfMatch, answered, as_command, context
from api.fields import Body, Change, Id, LongText, Reason, Title
from api.openapi import problems
from api.refs import Ref, id_of
from application.file import FileAlreadyBound, FileNotYours
from application.notice import Notices
from domain.notice.aggregate import NoticeInvalid, NoticeIsWithdrawn, NoticeUnknown
from domain.notice.commands import ChangeNotice, PublishNotice, WithdrawNotice

PATH = "/api/v1/notices"

Order = Annotated[int, Meta(ge=-1_000_000, le=1_000_000, examples=[10])]


class PublishNoticeBody(Body, frozen=True, kw_only=True):
    """An article has a title and a text, a banner has an image: a file of yours with the purpose `notice`. The lowest
    `order` stands first.
    """

    kind: Literal["article", "banner"]
    title: Title | None = None
    text: LongText | None = None
    file_id: Id | None = None
    order: Order = 0


class ChangeNoticeBody(Body, frozen=True, kw_only=True):
    """Absent: unchanged; null: cleared. An article stays one, and a banner a banner."""

    title: Change[Title] = UNSET
    text: Change[LongText] = UNSET
    file_id: Change[Id] = UNSET
    order: Order | UnsetType = UNSET


class WithdrawNoticeBody(Body, frozen=True, kw_only=True):
    reason: Reason


def routes(notices: Notices) -> Router:
    @post("/", responses=problems(NoticeInvalid, FileNotYours, FileAlreadyBound))
    async def publish_notice(
        request: Asked,
        data: JSONBody[PublishNoticeBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Publish an article or a banner for everybody who signs in."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await notices.publish(as_command(data, PublishNotice), asked), at=PATH)

    @patch(
        "/{ref:str}",
        responses=problems(NoticeUnknown, NoticeIsWithdrawn, NoticeInvalid, FileNotYours, FileAlreadyBound),
    )
    async def change_notice(
        request: Asked,
        ref: Ref,
        data: JSONBody[ChangeNoticeBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Change what stands in the body. Its history shows each value from and to."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        changes: dict[str, Any] = msgspec.to_builtins(data)
        return answered(await notices.change(id_of(ref), ChangeNotice(changes=changes), asked))

    @post("/{ref:str}/withdraw", status_code=200, responses=problems(NoticeUnknown))
    async def withdraw_notice(
        request: Asked,
        ref: Ref,
        data: JSONBody[WithdrawNoticeBody],
        *,
        if_match: IfMatch = None,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Withdraw it, with a reason. It is not listed any more, unless withdrawn ones are asked for."""
        asked = context(request, data, if_match, idempotency_key, dry_run=dry_run)
        return answered(await notices.withdraw(id_of(ref), as_command(data, WithdrawNotice), asked))

    return Router(
        "/notices", route_handlers=[publish_notice, change_notice, withdraw_notice], tags=["Notices"]
    )
