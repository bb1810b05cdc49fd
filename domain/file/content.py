"""What may be kept: which types for which purpose, under which name, and when a file lies about itself."""

import re
from typing import ClassVar
from unicodedata import normalize

from domain.shared import DomainError, Kind

ATTACHMENT, DOCUMENT, AVATAR, NOTICE = PURPOSES = ("attachment", "document", "avatar", "notice")
SHOWN_TO_ALL = frozenset({AVATAR, NOTICE})
"""Purposes whose files every signed-in user may look at."""

LONGEST_NAME = 255
_OFFICE = "application/vnd.openxmlformats-officedocument"
TYPES = {
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "webp": "image/webp",
    "pdf": "application/pdf",
    "doc": "application/msword",
    "docx": f"{_OFFICE}.wordprocessingml.document",
    "xls": "application/vnd.ms-excel",
    "xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    "odt": "application/vnd.oasis.opendocument.text",
    "ods": "application/vnd.oasis.opendocument.spreadsheet",
    "txt": "text/plain",
    "csv": "text/csv",
    "zip": "application/zip",
}
"""The extensions that are taken, each with the type it promises."""

READABLE = frozenset(TYPES[each] for each in ("pdf", "docx", "xlsx", "odt", "ods", "txt", "csv"))
"""Whose text is read, to be searched."""

IMAGES = frozenset({"image/jpeg", "image/png", "image/webp"})
ALLOWED = {
    ATTACHMENT: frozenset(TYPES.values()),
    DOCUMENT: frozenset({"application/pdf"}),
    AVATAR: IMAGES,
    NOTICE: IMAGES,
}

NO_CLAIM = frozenset({"", "application/octet-stream", "binary/octet-stream"})
"""What senders write who do not know."""
SYNONYMS = {
    "image/jpg": "image/jpeg",
    "image/pjpeg": "image/jpeg",
    "image/x-png": "image/png",
    "application/x-pdf": "application/pdf",
    "application/x-zip-compressed": "application/zip",
    "application/csv": "text/csv",
    "text/comma-separated-values": "text/csv",
}
_PATHS = re.compile(r"^.*[/\\]", re.DOTALL)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


class FileTooLarge(DomainError):
    """The file is larger than its purpose allows; `limit` is that, in bytes."""

    code: ClassVar[str] = "file.too_large"
    kind: ClassVar[Kind] = Kind.TOO_LARGE


class FileTypeRefused(DomainError):
    """Files of this type are not taken for this purpose; `allowed` lists the types that are."""

    code: ClassVar[str] = "file.type_refused"
    kind: ClassVar[Kind] = Kind.UNSUPPORTED


class FileTypeDisagrees(DomainError):
    """The content is not what the file's extension or declared type says it is."""

    code: ClassVar[str] = "file.type_disagrees"
    kind: ClassVar[Kind] = Kind.UNSUPPORTED


def clean_name(given: str | None) -> str:
    """A name that is safe to keep and to give back: NFC, without folders and control characters, 255 characters at
    most, of which the extension is kept."""
    name = _CONTROLS.sub("", normalize("NFC", _PATHS.sub("", given or ""))).strip()
    if name.strip(". ") == "":
        return "file"
    if len(name) <= LONGEST_NAME:
        return name
    stem, dot, extension = name.rpartition(".")
    ending = dot + extension if stem and len(extension) <= 16 else ""
    return name[: LONGEST_NAME - len(ending)].rstrip() + ending


def promised_type(name: str) -> str | None:
    """What the extension promises; None: it has none. Raises FileTypeRefused for one that no purpose takes."""
    stem, dot, extension = name.rpartition(".")
    if not (stem and dot and extension):
        return None
    promised = TYPES.get(extension.lower())
    if promised is None:
        raise FileTypeRefused(
            f"Files whose names end in .{extension.lower()[:16]} are not taken.", allowed=sorted(set(TYPES))
        )
    return promised


def judge_claims(name: str, declared: str | None, purpose: str) -> tuple[str, ...]:
    """The types that a file claims to have, before its content is known.

    Raises FileTypeRefused, and FileTypeDisagrees when its claims contradict each other.
    """
    promised = promised_type(name)
    said = (declared or "").partition(";")[0].strip().lower()
    claims = () if promised is None else (promised,)
    if said not in NO_CLAIM:
        claimed = SYNONYMS.get(said, said)
        # Windows calls a CSV file whatever Excel calls it.
        if promised not in (None, claimed) and (promised, claimed) not in _ALIKE:
            raise FileTypeDisagrees(f"A file of type {said[:100]} is not named so.")
        claims = claims or (claimed,)
    for claim in claims:
        require_allowed(claim, purpose)
    return claims


_ALIKE = {("text/csv", "application/vnd.ms-excel"), ("text/csv", "text/plain")}


def require_allowed(content_type: str, purpose: str) -> None:
    """Raises FileTypeRefused."""
    allowed = ALLOWED[purpose]
    if content_type not in allowed:
        raise FileTypeRefused(
            f"For this purpose files of type {content_type[:100]} are not taken.", allowed=sorted(allowed)
        )


def judge(name: str, declared: str | None, purpose: str, found: tuple[str, ...]) -> str:
    """The type to keep. `found`: every type the content truly has, the most telling first.

    Raises FileTypeRefused, FileTypeDisagrees.
    """
    claims = judge_claims(name, declared, purpose)
    if not found:
        raise FileTypeRefused("This content is of no type that is taken.", allowed=sorted(ALLOWED[purpose]))
    for claim in claims:
        if claim not in found:
            raise FileTypeDisagrees(f"The content is not of type {claim}, as the file says.")
    kept = claims[0] if claims else next((each for each in found if each in ALLOWED[purpose]), found[0])
    require_allowed(kept, purpose)
    return kept


def require_size(size: int, limit: int) -> None:
    """Raises FileTooLarge."""
    if size > limit:
        raise FileTooLarge(f"For this purpose a file has at most {limit} bytes.", limit=limit)
