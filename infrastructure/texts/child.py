"""`python -m infrastructure.texts.child <type>`: the text of the file on standard input, on standard output.

A process of its own, with an end to its time and memory, so that no file that somebody sends harms another's work. How
it went is its exit code.
"""

import os
import resource
import signal
import sys
from contextlib import suppress
from typing import BinaryIO

from infrastructure.embedded.children import die_with_parent
from infrastructure.texts.formats import READERS
from infrastructure.texts.office_document import Damaged, Encrypted

READ, ENCRYPTED, DAMAGED, TOO_COSTLY = 0, 10, 11, 12
MOST_CHARACTERS = 1_000_000
MEMORY = 1 << 30
"""Bytes of address space."""
SECONDS = 60
"""Of processor time."""


def main(content_type: str, file: BinaryIO, out: BinaryIO) -> int:
    left = MOST_CHARACTERS
    try:
        for piece in READERS[content_type](file):
            kept = piece[:left].replace("\0", "").encode("utf-8", "ignore")
            out.write(kept)
            left -= len(piece)
            if left <= 0:
                break
    except Encrypted:
        return ENCRYPTED
    except (Damaged, RecursionError):
        return DAMAGED
    except MemoryError:
        return TOO_COSTLY
    finally:
        with suppress(BrokenPipeError):
            out.flush()
    return READ


if __name__ == "__main__":
    die_with_parent(signal.SIGKILL, os.getppid())
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CPU, (SECONDS, SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.exit(main(sys.argv[1], sys.stdin.buffer, sys.stdout.buffer))
