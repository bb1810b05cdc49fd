"""Where settings come from: each source yields (name, where it was said, value as it stands there)."""

import difflib
import fcntl
import json
import os
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

PREFIX = "CHANCERY_"
_NOT_FIELDS = tuple(PREFIX + name for name in ("CONFIG", "URL", "LOGIN", "PASSWORD"))
"""What says where settings are, or, to a command that asks a running Chancery, where that is and who asks."""

Found = Iterable[tuple[str, str, object]]


class Mistake(NamedTuple):
    name: str
    source: str
    problem: str


def from_flags(flags: Mapping[str, object]) -> Found:
    return [(name, f"--{name.replace('_', '-')}", value) for name, value in flags.items()]


def from_environment(
    environ: Mapping[str, str], names: Sequence[str], bare: Iterable[str], mistakes: list[Mistake]
) -> Iterator[tuple[str, str, object]]:
    """CHANCERY_X, then the file that CHANCERY_X_FILE names, then X itself for the names in `bare`."""
    for name in names:
        variable = PREFIX + name.upper()
        yield name, variable, environ.get(variable)
        if path := environ.get(f"{variable}_FILE"):
            try:
                yield name, f"{variable}_FILE", Path(path).read_text().rstrip("\r\n")
            except (OSError, UnicodeDecodeError) as error:
                mistakes.append(Mistake(name, f"{variable}_FILE", f"cannot be read: {error}"))
    for name in bare:
        yield name, name.upper(), environ.get(name.upper())
    known = [*(PREFIX + name.upper() for name in names), *_NOT_FIELDS]
    known += [f"{variable}_FILE" for variable in known]
    strange = sorted(
        variable for variable in environ if variable.startswith(PREFIX) and variable not in known
    )
    mistakes.extend(Mistake(variable, "environment", _unknown(variable, known)) for variable in strange)


def from_toml(
    path: Path | None, environ: Mapping[str, str], names: Sequence[str], mistakes: list[Mistake]
) -> Found:
    """The file given, else the one CHANCERY_CONFIG names, else chancery.toml here if there is one."""
    given = path or (Path(said) if (said := environ.get(PREFIX + "CONFIG")) else None)
    file = given or Path("chancery.toml")
    if given is None and not file.exists():
        return []
    try:
        table = tomllib.loads(file.read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        mistakes.append(Mistake("config", str(file), f"cannot be read: {error}"))
        return []
    strange = sorted(table.keys() - set(names))
    mistakes.extend(Mistake(name, str(file), _unknown(name, names)) for name in strange)
    return [(name, str(file), value) for name, value in table.items() if name in names]


def from_data_dir(data_dir: Path, servers: Sequence[str], secrets: Iterable[str], given: set[str]) -> Found:
    """The stack that runs there, and the secrets `up` made there; `given` is what better sources said.

    A server is taken whole or not at all: an outside database never goes with the embedded one's owner.
    """
    outside = {name.partition("_")[0] for name in given & set(servers)}
    stack = running_stack(data_dir)
    for name in servers:
        if name in stack and name.partition("_")[0] not in outside:
            yield name, "running stack", stack[name]
    for name in secrets:
        file = data_dir / "secrets" / name
        if name not in given and os.access(file, os.R_OK):
            yield name, "generated", file.read_text()


def running_stack(data_dir: Path) -> dict[str, Any]:
    """What `up` says of itself (pid, url, servers); nothing when no `up` holds this directory."""
    try:
        with (data_dir / "lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        file = data_dir / "run" / "servers.json"
        return dict(json.loads(file.read_text())) if os.access(file, os.R_OK) else {}
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        pass  # nothing has ever run there, or it is not ours to see: other sources must do
    return {}


def _unknown(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return "is not a setting" + (f"; did you mean {near[0]}?" if near else "")
