"""Files' contents in an S3 store: streamed in and out in small parts, whole or not at all, never on the event loop."""

import asyncio
import os
import re
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from io import BytesIO
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Any, ParamSpec, Protocol, TypeVar
from uuid import UUID

import structlog
import urllib3
from minio.commonconfig import CopySource
from minio.error import InvalidResponseError, MinioException, S3Error
from urllib3.exceptions import HTTPError

from application.file_content import ObjectMissing
from infrastructure.bounded import Bounded, Busy
from infrastructure.object_parts import Client, Incoming, StoreUnavailable

P = ParamSpec("P")
R = TypeVar("R")

READ = 256 << 10
"""Bytes read at once."""
NOWHERE = "127.0.0.1:1"
"""Stands for a server that is not set: nothing answers there."""
TRANSFERS = 64
"""Contents on their way in or out at the same time; each holds up to two parts in memory."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_log = structlog.get_logger("object_store")


class Options(Protocol):
    """The settings it stands on."""

    @property
    def s3_endpoint(self) -> str: ...
    @property
    def s3_access_key(self) -> str: ...
    @property
    def s3_secret_key(self) -> str: ...
    @property
    def s3_bucket(self) -> str: ...
    @property
    def s3_region(self) -> str: ...
    @property
    def s3_secure(self) -> bool: ...
    @property
    def s3_public_endpoint(self) -> str: ...


class ObjectStore:
    """Objects of one bucket: files are named by ids, what is kept of the log by paths.

    `files`: the folder where an S3 server of our own would keep them, which does not sync them to disk; somebody else's
    does. `patience`: seconds to wait for an answer.

    Every method raises StoreUnavailable or Busy when it cannot be done now.
    """

    def __init__(self, options: Options, files: Path | None = None, *, patience: float = 10) -> None:
        def client(endpoint: str) -> Client:
            return Client(
                endpoint or NOWHERE,
                options.s3_access_key,
                options.s3_secret_key,
                secure=options.s3_secure,
                region=options.s3_region,
                http_client=urllib3.PoolManager(
                    timeout=urllib3.Timeout(connect=2, read=patience), retries=False, maxsize=TRANSFERS
                ),
            )

        self._client, self._bucket, self._files = client(options.s3_endpoint), options.s3_bucket, files
        self._public = client(options.s3_public_endpoint or options.s3_endpoint)
        self._threads = Bounded("the object store", threads=8, waiting=2 * TRANSFERS)
        self._transfers = 0
        # bounded: by TRANSFERS, and the time a clean-up takes
        self._cleaning: set[asyncio.Task[None]] = set()

    async def store(self, object_id: UUID, content: AsyncIterable[bytes]) -> None:
        """The whole content under that name, on disk when this returns; if `content` raises: nothing, and it raises."""
        name = str(object_id)
        with self._transfer():
            incoming = Incoming(self._call, self._client, self._bucket, name)
            try:
                async for chunk in content:
                    await incoming.take(chunk)
                await incoming.end()
            except StoreUnavailable:
                self._later(incoming.abandon())
                raise
            except BaseException:
                await self._surely(incoming.abandon())
                raise
        await self._sync(name)

    async def size(self, object_id: UUID) -> int:
        """In bytes. Raises ObjectMissing."""
        found = await self._call(self._client.stat_object, self._bucket, str(object_id))
        return found.size or 0

    async def copy(self, source: UUID, target: UUID) -> None:
        """Raises ObjectMissing."""
        await self._call(
            self._client.copy_object, self._bucket, str(target), CopySource(self._bucket, str(source))
        )
        await self._sync(str(target))

    async def remove(self, object_id: UUID) -> None:
        """There is none of that name afterwards."""
        await self._call(self._client.remove_object, self._bucket, str(object_id))

    async def discard(self, object_id: UUID) -> None:
        """As `remove`; what cannot be removed now is left to the sweep."""
        try:
            await self.remove(object_id)
        except (StoreUnavailable, Busy) as error:
            _log.warning("an object is left behind", name=str(object_id), error=str(error))

    @asynccontextmanager
    async def reading(self, object_id: UUID) -> AsyncGenerator[AsyncIterator[bytes]]:
        """Its content, piece by piece. Raises ObjectMissing."""
        with self._transfer():
            response = await self._call(self._client.get_object, self._bucket, str(object_id))
            whole = False

            async def pieces() -> AsyncIterator[bytes]:
                nonlocal whole
                while piece := await self._call(response.read, READ):
                    yield piece
                whole = True

            try:
                yield pieces()
            finally:
                if not whole:
                    response.close()
                response.release_conn()

    async def names(self, after: UUID, before: UUID) -> list[UUID]:
        """Of the objects there are, those between; ids are made in order of time."""

        def found() -> list[UUID]:
            listed = self._client.list_objects(self._bucket, start_after=str(after))
            named = (str(each.object_name) for each in listed)
            among = takewhile(lambda name: name < str(before), named)
            return [UUID(name) for name in among if _UUID.fullmatch(name) and name > str(after)]

        return await self._call(found)

    async def keep(self, name: str, data: bytes) -> None:
        """A small object under a name of its own, which has a slash in it; on disk when this returns."""
        await self._call(self._client.put_object, self._bucket, name, BytesIO(data), len(data))
        for place in (name, *map(str, PurePath(name).parents[:-1])):
            await self._sync(place)

    async def kept(self, name: str) -> bytes:
        """Raises ObjectMissing."""

        def whole() -> bytes:
            response = self._client.get_object(self._bucket, name)
            try:
                return response.read()
            finally:
                response.close()
                response.release_conn()

        return await self._call(whole)

    async def remove_under(self, folder: str) -> None:
        """Every object whose name begins like that."""

        def remove() -> None:
            for each in self._client.list_objects(self._bucket, prefix=folder, recursive=True):
                self._client.remove_object(self._bucket, str(each.object_name))

        await self._call(remove)

    def upload_url(self, object_id: UUID, *, since: datetime, lifetime: timedelta) -> str:
        """Where anybody may PUT the content from `since` for `lifetime`; the same arguments make the same address."""
        return self._public.get_presigned_url(
            "PUT", self._bucket, str(object_id), expires=lifetime, request_date=since
        )

    def close(self) -> None:
        self._threads.close()

    @contextmanager
    def _transfer(self) -> Generator[None]:
        if self._transfers >= TRANSFERS:
            raise Busy("the object store")
        self._transfers += 1
        try:
            yield
        finally:
            self._transfers -= 1

    async def _call(self, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await self._threads(function, *args, **kwargs)
        except (MinioException, HTTPError, OSError) as error:
            if says_missing(error):
                raise ObjectMissing from None
            raise StoreUnavailable(getattr(error, "code", type(error).__name__)) from error

    async def _sync(self, name: str) -> None:
        if self._files is not None:
            await self._threads(sync, self._files / name)

    def _later(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._cleaning.add(task)
        task.add_done_callback(self._cleaning.discard)
        return task

    async def _surely(self, work: Coroutine[Any, Any, None]) -> None:
        """To its end, even if we are cancelled meanwhile."""
        await asyncio.shield(self._later(work))


def says_missing(error: Exception) -> bool:
    """rclone calls its XML `text/xml`, in which the client sees no S3 error: the code stands in the message."""
    if isinstance(error, S3Error):
        return error.code in ("NoSuchKey", "NoSuchUpload")
    return isinstance(error, InvalidResponseError) and "<Code>NoSuchKey</Code>" in str(error)


def sync(file: Path) -> None:
    """The file and its place in the folder, if it is there, on disk when this returns. Raises OSError."""
    for path in (file, file.parent) if file.exists() else ():
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
