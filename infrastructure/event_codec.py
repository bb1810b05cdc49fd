"""Events to stored bytes and back: topics and upcasts derived from the domain, personal fields sealed on the way."""

import pkgutil
from collections.abc import Callable, Collection, Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from msgspec import Struct

import domain
from domain.shared import PERSONAL, Actor, Event, Metadata, Origin, Recorded, Stored
from infrastructure.personal_data import SubjectKey

Payload = dict[str, Any]
Upcast = tuple[str, Callable[[Payload], Payload]]
_raw: msgspec.json.Decoder[Payload] = msgspec.json.Decoder(Payload)


class UnknownTopic(Exception):
    """An event whose topic no class of this version carries."""


class _Shape(Struct, frozen=True):
    """What the codec knows of one event class."""

    event: type[Event]
    personal: tuple[str, ...]
    decoder: msgspec.json.Decoder[Any]


class _SealedMetadata(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Metadata as stored: `origin` is ciphertext under the actor's key."""

    actor: tuple[str, UUID]
    request_id: str
    session_id: UUID | None = None
    client_id: UUID | None = None
    cause: UUID | None = None
    allowed_by: str | None = None
    origin: str | None = None


class _Caused(Struct, frozen=True):
    request_id: str


def request_of(stored: Stored) -> str:
    """The id of the request that the event came from, if it can be read; nothing sealed is opened for it."""
    try:
        return _caused.decode(stored.meta).request_id
    except msgspec.MsgspecError:
        return ""


_caused = msgspec.json.Decoder(_Caused)


def modules(stem: str) -> Iterator[Any]:
    """Every `domain/<noun>/<stem>.py` there is."""
    for package in pkgutil.iter_modules(domain.__path__):
        if package.ispkg:
            noun = import_module(f"domain.{package.name}")
            if any(module.name == stem for module in pkgutil.iter_modules(noun.__path__)):
                yield import_module(f"domain.{package.name}.{stem}")


def event_classes() -> dict[str, type[Event]]:
    """Topic to class, derived: every Event with a TOPIC that a noun's events.py defines."""
    found: dict[str, type[Event]] = {}
    for module in modules("events"):
        for value in vars(module).values():
            here = isinstance(value, type) and value.__module__ == module.__name__
            if here and issubclass(value, Event) and found.setdefault(value.TOPIC, value) is not value:
                raise TypeError(f"two events carry the topic {value.TOPIC}")
    return found


def upcasts() -> dict[str, Upcast]:
    """Old topic to (newer topic, payload to payload), from each events.py's UPCASTS."""
    return {
        topic: upcast
        for module in modules("events")
        for topic, upcast in getattr(module, "UPCASTS", {}).items()
    }


def personal_fields(event: type[Event]) -> tuple[str, ...]:
    hints = get_type_hints(event, include_extras=True)
    return tuple(name for name in event.__struct_fields__ if _marked(hints[name]))


def _marked(hint: Any) -> bool:
    if get_origin(hint) is Annotated and PERSONAL in get_args(hint)[1:]:
        return True
    return any(_marked(part) for part in get_args(hint))


class EventCodec:
    def __init__(self) -> None:
        self._upcasts = upcasts()
        self._shapes = {
            topic: _Shape(event, personal_fields(event), msgspec.json.Decoder(event))
            for topic, event in event_classes().items()
        }
        self._encoder = msgspec.json.Encoder(order="deterministic")
        self._metadata = msgspec.json.Decoder(_SealedMetadata)

    @property
    def topics(self) -> Collection[str]:
        return self._shapes.keys()

    def subject(self, event: Event, stream_id: UUID) -> UUID | None:
        """Whose personal data the event holds; None: nobody's."""
        personal = self._shapes[event.TOPIC].personal
        if not personal or all(getattr(event, name) in (None, msgspec.UNSET) for name in personal):
            return None
        return stream_id if event.SUBJECT is None else getattr(event, event.SUBJECT)

    def encode(self, event: Event, stream_id: UUID, version: int, keys: Mapping[UUID, SubjectKey]) -> bytes:
        subject = self.subject(event, stream_id)
        if subject is None:
            return self._encoder.encode(event)
        payload: Payload = msgspec.to_builtins(event)
        for name in self._shapes[event.TOPIC].personal:
            if payload.get(name) is not None:
                plain = self._encoder.encode(payload[name])
                payload[name] = keys[subject].seal(plain, associated(stream_id, version, name))
        return self._encoder.encode(payload)

    def encode_metadata(
        self, m: Metadata, stream_id: UUID, version: int, keys: Mapping[UUID, SubjectKey]
    ) -> bytes:
        origin = None
        if m.origin is not None:
            plain = self._encoder.encode(m.origin)
            origin = keys[m.actor.id].seal(plain, associated(stream_id, version, "origin"))
        return self._encoder.encode(
            _SealedMetadata(
                actor=(m.actor.kind, m.actor.id),
                request_id=m.request_id,
                session_id=m.session_id,
                client_id=m.client_id,
                cause=m.cause,
                allowed_by=m.allowed_by,
                origin=origin,
            )
        )

    def subjects(self, stored: Stored) -> Iterator[UUID]:
        """Whose keys are needed to open it."""
        meta = self._metadata.decode(stored.meta)
        if meta.origin is not None:
            yield meta.actor[1]
        shape, payload = self._current(stored)
        if shape.personal and any(payload.get(name) is not None for name in shape.personal):
            yield stored.stream_id if shape.event.SUBJECT is None else UUID(payload[shape.event.SUBJECT])

    def decode(self, stored: Stored, keys: Mapping[UUID, SubjectKey | None]) -> Recorded[Event]:
        """The fact and what stood beside it; personal fields whose key is gone come as None."""
        return Recorded(
            position=stored.position,
            event_id=stored.event_id,
            stream_id=stored.stream_id,
            version=stored.version,
            topic=stored.topic,
            recorded_at=stored.recorded_at,
            meta=stored.meta,
            state=stored.state,
            event=self._event(stored, keys),
            metadata=self.metadata(stored, keys),
        )

    def _event(self, stored: Stored, keys: Mapping[UUID, SubjectKey | None]) -> Event:
        shape = self._shapes.get(stored.topic)
        if shape is not None and not shape.personal:
            event: Event = shape.decoder.decode(stored.state)
            return event
        shape, payload = self._plain(stored, keys)
        return msgspec.convert(payload, shape.event)

    def data(self, stored: Stored, keys: Mapping[UUID, SubjectKey | None]) -> Payload:
        """What was stated, in the shape of today's topic; a personal field whose key is gone stands there as None."""
        return self._plain(stored, keys)[1]

    def _plain(self, stored: Stored, keys: Mapping[UUID, SubjectKey | None]) -> tuple[_Shape, Payload]:
        shape, payload = self._current(stored)
        for name in shape.personal:
            if payload.get(name) is not None:
                subject = (
                    stored.stream_id if shape.event.SUBJECT is None else UUID(payload[shape.event.SUBJECT])
                )
                key = keys.get(subject)
                sealed = payload[name]
                where = associated(stored.stream_id, stored.version, name)
                payload[name] = None if key is None else msgspec.json.decode(key.open(sealed, where))
        return shape, payload

    def _current(self, stored: Stored) -> tuple[_Shape, Payload]:
        topic, payload = stored.topic, _raw.decode(stored.state)
        while topic in self._upcasts:
            topic, upcast = self._upcasts[topic]
            payload = upcast(payload)
        if topic not in self._shapes:
            raise UnknownTopic(f"{stored.topic} at position {stored.position}")
        return self._shapes[topic], payload

    def metadata(self, stored: Stored, keys: Mapping[UUID, SubjectKey | None]) -> Metadata:
        m = self._metadata.decode(stored.meta)
        origin = None
        if m.origin is not None and (key := keys.get(m.actor[1])) is not None:
            plain = key.open(m.origin, associated(stored.stream_id, stored.version, "origin"))
            origin = msgspec.json.decode(plain, type=Origin)
        return Metadata(
            actor=Actor(kind=m.actor[0], id=m.actor[1]),
            request_id=m.request_id,
            session_id=m.session_id,
            client_id=m.client_id,
            cause=m.cause,
            allowed_by=m.allowed_by,
            origin=origin,
        )


def associated(stream_id: UUID, version: int, field: str) -> bytes:
    """What a ciphertext is bound to: moved elsewhere, it does not open."""
    return stream_id.bytes + version.to_bytes(8, "big") + field.encode()
