"""`python -m tests.golden_files` writes the golden file of every topic that has none, and its digest into `SHA256SUMS`.

A golden file is never edited and never goes away: it is what somebody's log holds. A changed shape is a new version of
the topic, with a golden file of its own.
"""

from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from hashlib import sha256
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints
from uuid import UUID

import msgspec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from msgspec import Struct, UnsetType

from domain.shared import Event
from infrastructure.event_codec import EventCodec, event_classes
from infrastructure.personal_data import SubjectKey

FOLDER = Path(__file__).parent / "golden"
DIGESTS = FOLDER / "SHA256SUMS"
"""As sha256sum writes and checks it; lines are added, and no line is ever changed."""
STREAM = UUID("018f4e1c-0000-7000-8000-000000000001")

PLAIN: dict[Any, Any] = {
    UUID: UUID("018f4e1c-0000-7000-8000-000000000002"),
    datetime: datetime(2026, 5, 3, 10, 20, 30, 400_500, UTC),
    date: date(2026, 5, 3),
    Decimal: Decimal("1234.50"),
    bool: True,
    int: 7,
    bytes: b"bytes",
}


KEYS = {subject: SubjectKey(bytes(32), AESGCM(bytes(32))) for subject in (STREAM, PLAIN[UUID])}
"""Whoever the subject is: the stream itself, or whom a field names."""


def sample(hint: Any, name: str) -> Any:
    """A value of that type with nothing left out, so that the golden file shows every field."""
    bare = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if get_origin(bare) in (Union, UnionType):
        return sample(next(arm for arm in get_args(bare) if arm not in (type(None), UnsetType)), name)
    if get_origin(bare) in (tuple, list, set, frozenset):
        of = [each for each in get_args(bare) if each is not Ellipsis]  # tuple[UUID, UUID] has two
        return (get_origin(bare))([sample(each, name) for each in of])
    if get_origin(bare) is dict:
        return {name: sample(get_args(bare)[1], name)}
    if get_origin(bare) is not None:  # Literal
        return get_args(bare)[0]
    if isinstance(bare, type) and issubclass(bare, Struct):
        hints = get_type_hints(bare, include_extras=True)
        return bare(**{field: sample(hints[field], field) for field in bare.__struct_fields__})
    if isinstance(bare, type) and issubclass(bare, Enum):
        return next(iter(bare))
    return PLAIN.get(bare, name)


def stored(event: Event) -> bytes:
    """As the log holds it, but one field a line; personal fields are ciphertext."""
    return msgspec.json.format(EventCodec().encode(event, STREAM, 1, KEYS)) + b"\n"


def digests() -> dict[str, str]:
    """File name to the sha256 that it had when it was written."""
    lines = DIGESTS.read_text().splitlines()
    return {name: digest for digest, name in (line.split("  ") for line in lines)}


def write_missing() -> list[Path]:
    written = []
    for topic, event in event_classes().items():
        file = FOLDER / f"{topic}.json"
        if not file.exists():
            file.write_bytes(stored(sample(event, topic)))
            written.append(file)
    known = digests()
    with DIGESTS.open("a") as kept:
        for file in sorted(FOLDER.glob("*.json")):
            if file.name not in known:
                kept.write(f"{sha256(file.read_bytes()).hexdigest()}  {file.name}\n")
    return written


if __name__ == "__main__":
    for path in write_missing():
        print(path)  # noqa: T201
