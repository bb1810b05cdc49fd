"""The body of a request: judged by its headers, read within its limit, decoded by one strict reader."""

import re
from collections.abc import Mapping
from typing import Any

from litestar import Request
from litestar.dto import AbstractDTO
from litestar.typing import FieldDefinition

from api.fields import Nothing
from api.problems import ClientGone, Problem
from api.reader import LARGEST, reader, too_large
from application.spans import part


class BodyMissing(Problem):
    """This command needs a JSON body and got none."""

    code, status = "body.missing", 400


class MediaTypeUnsupported(Problem):
    """This address takes `application/json` only, in UTF-8 and not compressed."""

    code, status = "media_type.unsupported", 415


class BodyRequest(Request[Any, Any, Any]):
    """A request whose `body()` is JSON and small: judged by its headers before a byte of it is read."""

    async def body(self) -> bytes:
        """Raises BodyTooLarge, ClientGone; where `data` is taken also MediaTypeUnsupported, BodyMissing."""
        state = self._connection_state
        if isinstance(state.body, bytes):
            return state.body
        headers: dict[bytes, bytes] = self.scope.get("h") or dict(self.scope["headers"])  # type: ignore[assignment]
        wanted = self.route_handler.parsed_data_field
        length = headers.get(b"content-length", b"0" if b"transfer-encoding" not in headers else b"")
        if wanted is not None and length != b"0":
            require_json(headers)
        if length.isdigit() and int(length) > LARGEST:
            raise too_large()
        body = await self._read()
        if wanted is not None:
            if body and length == b"0":
                require_json(headers)
            if not body:
                if not issubclass(wanted.annotation, Nothing):
                    raise BodyMissing
                body = b"{}"
        self._body = state.body = body
        return body

    async def _read(self) -> bytes:
        parts: list[bytes] = []
        size = 0
        while True:
            message: Any = await self.receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            part = message.get("body", b"")
            size += len(part)
            if size > LARGEST:
                raise too_large()
            if not message.get("more_body", False):
                return part if not parts else b"".join((*parts, part))
            parts.append(part)


def require_json(headers: Mapping[bytes, bytes]) -> None:
    """Only `application/json`, in UTF-8 if it says so; this keeps cross-site form posts out, too.

    Raises MediaTypeUnsupported.
    """
    kind, _, parameters = headers.get(b"content-type", b"").lower().partition(b";")
    charset = re.search(rb'charset\s*=\s*"?([a-z0-9_-]+)', parameters) if parameters else None
    if (
        kind.strip() != b"application/json"
        or (charset is not None and charset[1] not in (b"utf-8", b"utf8"))
        or b"content-encoding" in headers
    ):
        raise MediaTypeUnsupported


class StrictBody(AbstractDTO[Any]):
    """`dto=StrictBody` on the API router: `data` comes from our Reader, answers stay untouched.

    Litestar itself converts laxly ("12" becomes 12) and reports the first wrong field only.
    """

    @classmethod
    def create_for_field_definition(
        cls, field_definition: FieldDefinition, handler_id: str, backend_cls: Any = None
    ) -> None:
        """Nothing to prepare: readers are made by type, at first use."""

    @classmethod
    def generate_field_definitions(cls, model_type: type[Any]) -> Any:  # noqa: ARG003 - Litestar's signature
        return iter(())

    @classmethod
    def detect_nested_field(cls, field_definition: FieldDefinition) -> bool:  # noqa: ARG003 - Litestar's
        return False

    @classmethod
    def is_supported_model_type_field(cls, field_definition: FieldDefinition) -> bool:  # noqa: ARG003 - the same
        return False

    @classmethod
    def create_openapi_schema(
        cls,
        field_definition: FieldDefinition,
        handler_id: str,  # noqa: ARG003 - Litestar's signature
        schema_creator: Any,
    ) -> Any:
        return schema_creator.for_field_definition(field_definition)

    def decode_bytes(self, value: bytes) -> Any:
        field: Any = self.asgi_connection.route_handler.parsed_data_field
        with part("decode"):
            return reader(field.annotation).read(value)
