"""An object on its way into an S3 store, in parts of its own: whole, or not at all."""

from collections.abc import Callable, Coroutine
from io import BytesIO
from typing import Any

import structlog
from minio import Minio
from minio.datatypes import Part

from application.file_content import ObjectMissing
from infrastructure.bounded import Busy

PART = 5 << 20
"""Bytes sent at once; S3 takes no smaller part but the last."""

_log = structlog.get_logger("object_store")


class StoreUnavailable(Exception):
    """The object store is away, too slow, or refuses us; nothing was kept."""


class Client(Minio):
    """The calls of a multipart upload (S3 API) by themselves: a thread is held while bytes travel, not while a slow
    sender makes us wait for them."""

    def begin(self, bucket: str, name: str) -> str:
        return self._create_multipart_upload(bucket, name, {"Content-Type": "application/octet-stream"})

    def send(self, bucket: str, name: str, upload: str, number: int, data: bytes) -> Part:
        return Part(number, self._upload_part(bucket, name, data, None, upload, number))

    def complete(self, bucket: str, name: str, upload: str, parts: list[Part]) -> None:
        self._complete_multipart_upload(bucket, name, upload, parts)

    def abort(self, bucket: str, name: str, upload: str) -> None:
        self._abort_multipart_upload(bucket, name, upload)


Call = Callable[..., Coroutine[Any, Any, Any]]


class Incoming:
    """One object on its way in: nothing is sent before there is a part of it, and a small one goes at once."""

    def __init__(self, call: Call, client: Client, bucket: str, name: str) -> None:
        self._call, self._client, self._place = call, client, (bucket, name)
        # bounded: by PART, then a part is sent
        self._waiting: list[bytes] = []
        self._size = 0
        self._upload: str | None = None
        # bounded: by the largest file, in parts
        self._parts: list[Part] = []
        self._sent = False

    async def take(self, chunk: bytes) -> None:
        self._waiting.append(chunk)
        self._size += len(chunk)
        while self._size > PART:
            await self._send(PART)

    async def end(self) -> None:
        if self._upload is None:
            whole = b"".join(self._waiting)
            self._sent = True
            await self._call(self._client.put_object, *self._place, BytesIO(whole), len(whole))
        else:
            await self._send(self._size)
            self._sent = True
            await self._call(self._client.complete, *self._place, self._upload, self._parts)

    async def abandon(self) -> None:
        """Leave nothing behind; what cannot be cleaned up now is swept up later."""
        try:
            if self._upload is not None:
                await self._call(self._client.abort, *self._place, self._upload)
            if self._sent:
                await self._call(self._client.remove_object, *self._place)
        except ObjectMissing:
            pass  # it was gone already
        except (StoreUnavailable, Busy) as error:
            _log.warning("an object may be left behind", name=self._place[1], error=str(error))

    async def _send(self, size: int) -> None:
        if self._upload is None:
            self._upload = await self._call(self._client.begin, *self._place)
        number, part = len(self._parts) + 1, self._cut(size)
        self._parts.append(await self._call(self._client.send, *self._place, self._upload, number, part))

    def _cut(self, size: int) -> bytes:
        whole = b"".join(self._waiting)
        self._waiting, self._size = [whole[size:]], len(whole) - size
        return whole[:size]
