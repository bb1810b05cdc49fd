"""PostgreSQL's own programs: which of them to take, and running them so that no password is seen."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import IO

import psycopg
from psycopg.pq import Conninfo

from infrastructure.backup.manifest import BackupRefused
from infrastructure.embedded import postgres
from infrastructure.embedded.children import die_with_parent


class Programs:
    """pg_dump, pg_restore and psql of one version; `major` is that of the newest server they can dump."""

    def __init__(self, folder: Path, major: int) -> None:
        self.folder, self.major = folder, major

    def dump(self, url: str, file: Path, *options: str) -> None:
        """Raises BackupRefused. The file is on the disk when this returns."""
        command = [
            "pg_dump",
            "--format=custom",
            "--compress=gzip:1",
            "--lock-wait-timeout=10s",
            f"--file={file}",
        ]
        with self._started([*command, *options], url):
            pass

    @contextmanager
    def rows(self, archive: Path, table: str) -> Generator[IO[bytes]]:
        """What an archive holds of a table, as COPY tells it, without any server. Raises BackupRefused."""
        schema, _, name = table.partition(".")
        options = ["--data-only", f"--schema={schema}", f"--table={name}", "--file=-", str(archive)]
        with self._started(["pg_restore", *options], stdout=subprocess.PIPE) as process:
            assert process.stdout is not None
            yield process.stdout
            while process.stdout.read(1 << 20):  # who stops reading must not make it fail
                pass

    def load(self, url: str, archives: Sequence[tuple[Path, Sequence[str]]], last: bytes) -> None:
        """Archives, each with options of its own, and then statements, in one transaction. Raises BackupRefused.

        The commit is our last statement: whoever of us dies before it has changed nothing.
        """
        words = ["psql", "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--file=-", "--output=/dev/null"]
        reading, writing = os.pipe()
        failed: BackupRefused | None = None
        with (
            os.fdopen(writing, "wb", buffering=0) as script,
            os.fdopen(reading, "rb") as source,
            self._started(words, url, stdin=source),
        ):
            source.close()
            try:
                self._write(script, archives, last)
            except BackupRefused as error:
                failed = error  # what psql says goes before it: then nobody took what was written
            finally:
                script.close()
        if failed:
            raise failed

    def _write(self, script: IO[bytes], archives: Sequence[tuple[Path, Sequence[str]]], last: bytes) -> None:
        try:
            script.write(b"begin;\n")
            for archive, options in archives:
                words = ["pg_restore", "--no-owner", "--no-privileges", *options, "--file=-", str(archive)]
                with self._started(words, stdout=script):
                    pass
            script.write(last + b"\ncommit;\n")
        except BrokenPipeError as error:
            raise BackupRefused("psql has ended before its time") from error

    @contextmanager
    def _started(
        self,
        words: Sequence[str],
        url: str = "",
        *,
        stdin: IO[bytes] | None = None,
        stdout: IO[bytes] | int | None = None,
    ) -> Generator[subprocess.Popen[bytes]]:
        process = subprocess.Popen(  # noqa: S603 (its words are ours)
            [str(self.folder / words[0]), *words[1:]],
            env=os.environ | {"LC_ALL": "C", "PGTZ": "UTC", "PGAPPNAME": "chancery backup"} | _told(url),
            stderr=subprocess.PIPE,
            umask=0o077,
            preexec_fn=partial(die_with_parent, signal.SIGKILL, os.getpid()),  # noqa: PLW1509
            stdin=stdin,
            stdout=stdout,
        )
        try:
            yield process
            assert process.stderr is not None
            said = process.stderr.read().decode(errors="replace")
        except BaseException:
            process.kill()
            raise
        finally:
            process.wait()
            for stream in (process.stderr, process.stdout):
                if stream is not None:
                    stream.close()
        if process.returncode:
            raise BackupRefused(f"{words[0]} failed: {_first(said)}")


def programs(server: int) -> Programs:
    """For a server of this major version. Raises BackupRefused."""
    known = []
    for folder in _folders():
        try:
            said = subprocess.run(  # noqa: S603
                [str(folder / "pg_dump"), "--version"], capture_output=True, text=True, timeout=20, check=True
            ).stdout
        except (OSError, subprocess.SubprocessError):
            continue
        if (found := re.search(r"(\d+)[.\d]*", said)) and int(found[1]) >= server:
            return Programs(folder, int(found[1]))
        known.append(said.strip())
    raise BackupRefused(
        f"The server is PostgreSQL {server}, and there is no pg_dump of {server} or later here"
        f" ({', '.join(known) or 'none at all'}): install PostgreSQL {server}'s client programs."
    )


def server_major(url: str) -> int:
    with psycopg.connect(url, connect_timeout=5) as connection:
        return connection.info.server_version // 10_000


def _folders() -> Iterator[Path]:
    with suppress(PackageNotFoundError):  # where servers are others', the wheel need not be there
        yield postgres.binary().parent
    if found := shutil.which("pg_dump"):
        yield Path(found).parent


def _told(url: str) -> dict[str, str]:
    """The address as libpq's environment has it: argv can be read by every user of the machine."""
    options = Conninfo.parse(url.encode()) if url else []
    return {each.envvar.decode(): each.val.decode() for each in options if each.envvar and each.val}


def _first(said: str) -> str:
    """The first error, without the row it happened in."""
    lines = (
        [line for line in said.splitlines() if "error" in line.lower()]
        or said.splitlines()
        or ["no reason given"]
    )
    return lines[0].strip()[:300]
