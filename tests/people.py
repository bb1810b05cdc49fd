"""Users and their sessions, put into a store as the application would, without the rest of a sign-in."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

from application.ports import Accepted, Attempt, Secrets
from domain.session.events import SessionOpened
from domain.shared import SYSTEM, Actor, Event, Metadata
from domain.user.events import UserRegistered
from infrastructure.event_store import EventStore, new_id


async def append(store: EventStore, stream_id: UUID, *events: Event, expected: int = 0, secrets=None) -> None:
    metadata = Metadata(actor=Actor(kind="system", id=SYSTEM), request_id="test")
    verdict = await store.append(
        Attempt(stream_id=stream_id, expected=expected, events=events, metadata=metadata, secrets=secrets)
    )
    assert isinstance(verdict, Accepted), verdict


async def registered(
    store: EventStore, *, role: str = "user", email: str | None = None, department_id=None
) -> UUID:
    user_id = new_id()
    event = UserRegistered(email=email or f"{user_id}@example.org", role=role, department_id=department_id)
    await append(store, user_id, event)
    return user_id


async def signed_in(
    store: EventStore,
    user_id: UUID,
    *,
    session_id: UUID | None = None,
    secret: bytes | None = None,
    lifetime: timedelta = timedelta(days=1),
) -> UUID:
    session_id, now = session_id or new_id(), datetime.now(UTC)
    event = SessionOpened(
        user_id=user_id, transport="bearer", method="password", opened_at=now, expires_at=now + lifetime
    )
    await append(store, session_id, event, secrets=secret and Secrets(refresh_secret=secret))
    return session_id
