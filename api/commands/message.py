"""POST of dialogs and messages."""

from typing import Annotated
from uuid import UUID

from litestar import Router, post
from litestar.params import JSONBody
from msgspec import Meta

from api.answers import Answer, Receipt
from api.asking import Asked, DryRunFlag, IdempotencyKey, answered, context
from api.fields import Body, ChatText, Id, Nothing
from api.openapi import problems
from api.refs import Ref, id_of
from application.file import FileAlreadyBound, FileNotYours
from application.message import DialogPartnerUnknown, Dialogs
from domain.dialog.aggregate import DialogUnknown, DialogWithOneself
from domain.message.aggregate import MOST_ATTACHMENTS, MessageEmpty, MessageNotToYou, MessageUnknown

DIALOGS, MESSAGES = "/api/v1/dialogs", "/api/v1/messages"
Attachments = Annotated[
    tuple[UUID, ...], Meta(max_length=MOST_ATTACHMENTS, description="ids of your own complete, unbound files")
]


class OpenDialogBody(Body, frozen=True, kw_only=True):
    user_id: Id


class ReadUpToBody(Body, frozen=True, kw_only=True):
    message_id: Id


class SendMessageBody(Body, frozen=True, kw_only=True):
    text: ChatText | None = None
    attachments: Attachments = ()


def routes(dialogs: Dialogs) -> list[Router]:
    @post("/", responses=problems(DialogWithOneself, DialogPartnerUnknown))
    async def open_dialog(
        request: Asked,
        data: JSONBody[OpenDialogBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """The one dialog with this user: 201 when it is new, 200 when you have spoken before."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await dialogs.open(data.user_id, asked), at=DIALOGS)

    @post(
        "/{ref:str}/messages", responses=problems(DialogUnknown, MessageEmpty, FileNotYours, FileAlreadyBound)
    )
    async def send_message(
        request: Asked,
        ref: Ref,
        data: JSONBody[SendMessageBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Send a text, attachments, or both; with all attachments or not at all."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await dialogs.send(id_of(ref), data.text, data.attachments, asked), at=MESSAGES)

    @post(
        "/{ref:str}/read-up-to",
        status_code=200,
        responses=problems(DialogUnknown, MessageUnknown, MessageNotToYou),
    )
    async def read_up_to(
        request: Asked,
        ref: Ref,
        data: JSONBody[ReadUpToBody],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Mark everything sent to you in this dialog as read, as far as one message; again changes nothing."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await dialogs.read_up_to(id_of(ref), data.message_id, asked))

    @post("/{ref:str}/read", status_code=200, responses=problems(MessageUnknown, MessageNotToYou))
    async def read_message(
        request: Asked,
        ref: Ref,
        data: JSONBody[Nothing],
        *,
        idempotency_key: IdempotencyKey = None,
        dry_run: DryRunFlag = False,
    ) -> Answer[Receipt]:
        """Mark a message to you as read; again changes nothing."""
        asked = context(request, data, None, idempotency_key, dry_run=dry_run)
        return answered(await dialogs.read(id_of(ref), asked))

    return [
        Router("/dialogs", route_handlers=[open_dialog, send_message, read_up_to]),
        Router("/messages", route_handlers=[read_message]),
    ]
