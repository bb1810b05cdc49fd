"""What a registered module keeps for grants to be judged by: its actions, and its kinds of scope."""

from uuid import UUID

from domain.module.events import ModuleEvent
from domain.shared import Claim, Guard

ACTION, SCOPE = "module.action", "module.scope"
"""Claims `<module>:<action>` and `<module>:<scope type>`, for as long as they can be granted."""


def guards(stream_id: UUID, event: ModuleEvent) -> tuple[Guard, ...]:
    return (
        Claim(kind=ACTION, values=tuple(f"{event.module}:{action}" for action in event.actions)),
        Claim(kind=SCOPE, values=tuple(f"{event.module}:{scope}" for scope in event.scope_types)),
    )
