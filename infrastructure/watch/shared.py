"""A folder through which several processes that serve count together, so that a scrape meets all of them at once."""

import os
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus_client looks for it, once, when it is loaded."""


@contextmanager
def counted_together(processes: int) -> Generator[None]:
    """For one process: nothing. Else the folder, emptied: what earlier processes counted is over.

    Enter it before anything loads prometheus_client; later is a mistake of ours (RuntimeError).
    """
    if processes == 1 and FOLDER not in os.environ:
        yield
        return
    if "prometheus_client" in sys.modules:
        raise RuntimeError("prometheus_client is loaded already and would count each process apart")
    with TemporaryDirectory(prefix="chancery-figures-") as made:
        folder = Path(os.environ.setdefault(FOLDER, made))
        for left in folder.glob("*.db"):
            left.unlink(missing_ok=True)
        yield
