"""Has the text of a file read by a process that can do no harm: no settings, no network to speak of, bounds on all."""

import asyncio
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from tempfile import TemporaryFile

from application.file_text import Reading
from infrastructure.texts.child import DAMAGED, ENCRYPTED, MOST_CHARACTERS, READ

PATIENCE = 120.0
"""Seconds that one file may take."""
_OUTCOMES = {READ: "read", ENCRYPTED: "encrypted", DAMAGED: "damaged"}


async def read_text(
    content: AsyncIterator[bytes], content_type: str, *, patience: float = PATIENCE
) -> Reading:
    """Whatever came before it was too costly is kept. Raises what `content` raises."""
    with TemporaryFile() as file:
        async for piece in content:
            await asyncio.to_thread(file.write, piece)
        file.seek(0)
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "infrastructure.texts.child",
            content_type,
            stdin=file,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env={},
        )
        said = bytearray()
        try:
            async with asyncio.timeout(patience):
                assert child.stdout is not None
                while len(said) <= 4 * MOST_CHARACTERS and (piece := await child.stdout.read(1 << 16)):
                    said += piece
                await child.wait()
        except TimeoutError:  # killed below, and told as too costly by how it ended
            pass
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
    text = said.decode("utf-8", "ignore").strip()
    outcome = _OUTCOMES.get(child.returncode or 0, "too_costly")
    if outcome == "read" and not text:
        outcome = "nothing"
    digest = sha256(text.encode()).hexdigest() if text else None
    return Reading(outcome=outcome, text=text, sha256=digest)
