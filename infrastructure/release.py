"""Which release of Chancery this is, and which one the processes are that work on the same database."""

import re
from importlib.metadata import version

RELEASE = version("chancery")
_NAMED = re.compile(r"chancery(?P<does> [\w -]*?)?(?: (?P<release>[0-9]+\.[0-9][\w.]*))?")


def named(name: str) -> str:
    """What a connection is called: what it does, and the release that opened it (`pg_stat_activity`)."""
    return f"{name} {RELEASE}"


def release_of(application_name: str) -> str | None:
    """The release a connection names; empty where it names none, as those of 0.1.0; None: it is not one of ours."""
    said = _NAMED.fullmatch(application_name)
    return None if said is None else said["release"] or ""


def older(release: str, than: str) -> bool:
    """Whether it went out before the other; no release at all is the oldest."""
    return _numbers(release) < _numbers(than)


def _numbers(release: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]+", release.partition("+")[0]))
