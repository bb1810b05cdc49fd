"""A file in a multipart form (RFC 7578), taken from the request as it arrives: never the whole of it is in memory."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from litestar import Request
from litestar.openapi.spec import OpenAPIMediaType, Operation, Reference, RequestBody, Schema
from litestar.openapi.spec.enums import OpenAPIFormat, OpenAPIType
from multipart import (  # type: ignore[import-untyped]
    MultipartError,
    MultipartSegment,
    PushMultipartParser,
    parse_options_header,
)

from api.body import MediaTypeUnsupported
from api.faults import step
from api.problems import ClientGone
from api.reader import BodyInvalid, BodyMalformed
from api.shape import unknown
from domain.file.content import ATTACHMENT, PURPOSES, clean_name
from domain.shared import FieldError

AROUND = 1 << 16
"""Bytes that a form may take besides its file."""
LONGEST_TEXT = 1 << 14


class Form:
    """One file and the texts beside it, in whatever order they come.

    `texts`: the names of those that may stand there, each with what it may say, where that is a choice. Iterating gives
    the file's content and raises BodyMalformed, BodyInvalid, ClientGone.
    """

    def __init__(self, request: Request[Any, Any, Any], texts: Mapping[str, Sequence[str] | None]) -> None:
        """Raises MediaTypeUnsupported, BodyMalformed."""
        headers: dict[bytes, bytes] = request.scope["h"]  # type: ignore[typeddict-item]
        kind, options = parse_options_header(headers.get(b"content-type", b"").decode("latin-1"))
        if kind != "multipart/form-data" or b"content-encoding" in headers:
            raise MediaTypeUnsupported("This address takes `multipart/form-data` only, not compressed.")
        if not 0 < len(options.get("boundary", "")) <= 70:
            raise BodyMalformed("The content type names no boundary of 1 to 70 characters.")
        length = headers.get(b"content-length", b"")
        self.at_least = max(0, int(length) - AROUND) if length.isdigit() else 0
        self.name = "file"
        self.declared: str | None = None
        # bounded: by the parts a form may have
        self.texts: dict[str, str] = {}
        self._may_say, self._request, self._boundary = texts, request, options["boundary"]
        # bounded: by the parts a form may have
        self._seen: list[str] = []
        self._text = b""

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            parser = PushMultipartParser(
                self._boundary,
                max_segment_count=len(self._may_say) + 3,
                max_header_size=4096,
                max_header_count=8,
            )
            async for chunk in self._chunks():
                for part in parser.parse(chunk):
                    if isinstance(part, MultipartSegment):
                        self._begin(part)
                    elif part is None:
                        self._end()
                    elif self._seen[-1] == "file":
                        yield bytes(part)
                    else:
                        self._text += part[: LONGEST_TEXT + 1 - len(self._text)]
            parser.close()
        except MultipartError as error:
            raise BodyMalformed(f"The form is broken or cut off: {error}.") from None
        if "file" not in self._seen:
            raise _invalid("file", "missing", "This part is required.")

    async def _chunks(self) -> AsyncIterator[bytes]:
        more = True
        while more:
            message: Any = await self._request.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            if chunk := message.get("body", b""):
                yield chunk
            more = message.get("more_body", False)

    def _begin(self, part: MultipartSegment) -> None:
        name = part.name or ""
        parts = ("file", *self._may_say)
        if name not in parts:
            raise _invalid(name, "unknown_field", unknown("part", name, parts))
        if name in self._seen:
            raise _invalid(name, "repeated", "This part stands twice.")
        self._seen.append(name)
        self._text = b""
        if name == "file":
            self.name, self.declared = clean_name(part.filename), part.content_type

    def _end(self) -> None:
        name = self._seen[-1]
        if name == "file":
            return
        text, choices = self._text.decode(errors="replace").strip(), self._may_say[name]
        if choices is not None and text not in choices:
            raise _invalid(name, "not_one_of", f"This is one of {', '.join(choices)}.")
        if len(self._text) > LONGEST_TEXT:
            raise _invalid(name, "too_long", f"This part has at most {LONGEST_TEXT} bytes.")
        self.texts[name] = text


class Upload(Form):
    """Implements application.file_content.Sent."""

    def __init__(self, request: Request[Any, Any, Any]) -> None:
        """Raises MediaTypeUnsupported, BodyMalformed."""
        super().__init__(request, {"purpose": PURPOSES})

    @property
    def purpose(self) -> str | None:
        return self.texts.get("purpose")


def _invalid(part: str, code: str, detail: str) -> BodyInvalid:
    return BodyInvalid(errors=(FieldError(pointer=step("", part), code=code, detail=detail),))


@dataclass
class FormOperation(Operation):
    """`operation_class=FormOperation`: describes the form, which Litestar does not see."""

    def __post_init__(self) -> None:
        parts: dict[str, Reference | Schema] = {
            "file": Schema(type=OpenAPIType.STRING, format=OpenAPIFormat.BINARY),
            "purpose": Schema(type=OpenAPIType.STRING, enum=list(PURPOSES), default=ATTACHMENT),
        }
        self.request_body = form(parts, ["file"], {"file": "%PDF-1.7 ...", "purpose": ATTACHMENT})


def form(parts: Mapping[str, Reference | Schema], required: list[str], example: Any) -> RequestBody:
    """A form as OpenAPI describes it."""
    schema = Schema(
        type=OpenAPIType.OBJECT, properties=dict(parts), required=required, additional_properties=False
    )
    media_type = OpenAPIMediaType(schema=schema, example=example)
    return RequestBody(content={"multipart/form-data": media_type}, required=True)
