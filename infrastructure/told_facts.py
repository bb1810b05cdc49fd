"""Facts that a log line tells: accounts made and changed, contracts signed (seed E). By number, never by name."""

import structlog

from application.ports import Attempt

TOLD = ("user.", "contract.signed.")

_log = structlog.get_logger("facts")


def tell(attempt: Attempt, position: int) -> None:
    """A line for each, in processes that keep a log: what a person typed answers him, and nothing else."""
    if not structlog.is_configured():
        return
    for event in attempt.events:
        if event.TOPIC.startswith(TOLD):
            actor = attempt.metadata.actor
            _log.info(
                "fact",
                topic=event.TOPIC,
                stream=str(attempt.stream_id),
                position=position,
                actor=f"{actor.kind} {actor.id}",
                request_id=attempt.metadata.request_id,
            )
