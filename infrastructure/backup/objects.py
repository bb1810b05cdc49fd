"""The bucket's objects, out of it and back into one: whole, in parallel, each named by the SHA-256 of its bytes."""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import msgspec
import urllib3
from minio import Minio
from minio.datatypes import Object
from minio.error import MinioException
from urllib3.exceptions import HTTPError

from infrastructure.backup.manifest import OBJECTS, READ, BackupRefused, Content, contents, digest_of
from infrastructure.bucket import make
from infrastructure.embedded import s3
from infrastructure.object_parts import StoreUnavailable
from infrastructure.object_store import says_missing, sync
from infrastructure.settings import Settings

AT_ONCE = 4
PART = 64 << 20
"""Bytes of a larger object that travel by themselves."""

T = TypeVar("T")
R = TypeVar("R")


class Bucket:
    """Raises BackupRefused where the server does not answer, or refuses."""

    def __init__(self, settings: Settings) -> None:
        self._settings, self._name = settings, settings.s3_bucket
        self._client = Minio(
            settings.s3_endpoint,
            settings.s3_access_key,
            settings.s3_secret_key,
            secure=settings.s3_secure,
            region=settings.s3_region,
            http_client=urllib3.PoolManager(
                timeout=urllib3.Timeout(connect=2, read=60), retries=False, maxsize=AT_ONCE
            ),
        )

    def listed(self) -> Iterator[Object]:
        try:
            if self._client.bucket_exists(self._name):
                yield from self._client.list_objects(self._name, recursive=True)
        except (MinioException, HTTPError, OSError) as error:
            raise self._refused(error) from None

    def make(self) -> None:
        try:
            make(self._settings)
        except StoreUnavailable as error:
            raise BackupRefused(str(error)) from None

    def fetch(self, found: Object, folder: Path) -> Content | None:
        """None: it was removed meanwhile. The file is on the disk when this returns."""
        part, digest = folder / f".{secrets.token_hex(8)}", sha256()
        try:
            response = self._client.get_object(self._name, str(found.object_name))
            try:
                with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                    size = 0
                    while piece := response.read(READ):
                        digest.update(piece)
                        size += file.write(piece)
                    file.flush()
                    os.fsync(file.fileno())
            finally:
                response.close()
                response.release_conn()
        except (MinioException, HTTPError) as error:
            if says_missing(error):
                return None
            raise self._refused(error) from None
        content = Content(
            name=str(found.object_name), size=size, sha256=digest.hexdigest(), etag=found.etag or ""
        )
        _settle(part, content.path(folder))
        return content

    def put(self, content: Content, folder: Path) -> None:
        """On the disk of the server that we run, if it is ours, when this returns."""
        try:
            with content.path(folder).open("rb") as file:
                self._client.put_object(
                    self._name, content.name, file, content.size, part_size=PART, num_parallel_uploads=1
                )
        except (MinioException, HTTPError) as error:
            raise self._refused(error) from None
        sync(s3.objects(self._settings.data_dir, self._settings.s3_bucket) / content.name)

    def _refused(self, error: Exception) -> BackupRefused:
        said = getattr(error, "code", None) or type(error).__name__
        return BackupRefused(f"the object store at {self._settings.s3_endpoint} fails: {said}")


def copy_out(bucket: Bucket, folder: Path, epoch: UUID, before: Path | None) -> tuple[int, int]:
    """Every object but the copy of this epoch's log, which is made of the log again; how many, and their bytes.

    Contents that the backup `before` has are taken from there, with a hard link where that can be.
    """
    known = {each.name: each for each in contents(before)} if before else {}
    count = total = 0
    part = folder / OBJECTS
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as lines:

        def fetched(found: Object) -> Content | None:
            return _again(found, known, folder, before) or bucket.fetch(found, folder)

        ours = f"audit/{epoch}/"
        listed = (found for found in bucket.listed() if not str(found.object_name).startswith(ours))
        for content in _each(fetched, listed):
            if content is not None:
                lines.write(msgspec.json.encode(content) + b"\n")
                count, total = count + 1, total + content.size
    return count, total


def copy_in(bucket: Bucket, folder: Path) -> int:
    """Every object of a backup; how many."""
    bucket.make()
    return sum(1 for _ in _each(lambda content: bucket.put(content, folder), contents(folder)))


def _again(found: Object, known: Mapping[str, Content], folder: Path, before: Path | None) -> Content | None:
    """What the older backup holds of this object, if it is still the same here and sound there."""
    content = known.get(str(found.object_name))
    if before is None or content is None or (content.size, content.etag) != (found.size, found.etag or ""):
        return None
    source, target = content.path(before), content.path(folder)
    if not source.is_file() or digest_of(source)[0] != content.sha256:
        return None
    if not target.exists():
        _room(target)
        try:
            os.link(source, target)
        except FileExistsError:
            pass  # the same bytes under another name, just now
        except OSError:  # another disk: it is fetched
            return None
    return content


def _settle(part: Path, target: Path) -> None:
    _room(target)
    part.replace(target)


def _room(target: Path) -> None:
    for folder in (target.parent.parent, target.parent):
        folder.mkdir(exist_ok=True, mode=0o700)


def _each(work: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """In order, some at once, and never more read ahead than that."""
    with ThreadPoolExecutor(AT_ONCE) as threads:
        source = iter(items)
        pending = []
        try:
            for item in source:
                pending.append(threads.submit(work, item))
                if len(pending) >= 2 * AT_ONCE:
                    yield pending.pop(0).result()
            while pending:
                yield pending.pop(0).result()
        finally:
            for each in pending:
                each.cancel()
