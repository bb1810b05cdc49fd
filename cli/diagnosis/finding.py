"""What the doctor finds: each thing that is wrong comes with what to do about it."""

from msgspec import Struct


class Finding(Struct, frozen=True, kw_only=True):
    """`fix` is one line, mostly a command; empty where all is well."""

    what: str
    well: bool
    said: str
    fix: str


def well(what: str, said: str) -> Finding:
    return Finding(what=what, well=True, said=said, fix="")


def wrong(what: str, said: str, fix: str) -> Finding:
    return Finding(what=what, well=False, said=said, fix=fix)


def judged(what: str, said: str, fix: str, *, good: bool) -> Finding:
    return well(what, said) if good else wrong(what, said, fix)


def line(error: Exception) -> str:
    """An error in one line."""
    return str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
