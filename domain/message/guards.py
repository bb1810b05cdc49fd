"""What a message keeps for itself: the files bound to it, each to this one alone."""

from typing import assert_never
from uuid import UUID

from domain.file.guards import BINDING
from domain.message.events import MessageEvent, MessageRead, MessageSent
from domain.shared import Claim, Guard


def guards(stream_id: UUID, event: MessageEvent) -> tuple[Guard, ...]:
    match event:
        case MessageSent():
            bound = tuple(str(file_id) for file_id in event.attachments)
            return (Claim(kind=BINDING, values=bound),) if bound else ()
        case MessageRead():
            return ()
        case _:
            assert_never(event)
