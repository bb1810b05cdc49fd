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
SECRETS_DIR = PREFIX + "SECRETS_DIR"
_NOT_FIELDS = (SECRETS_DIR, *(PREFIX + name for name in ("CONFIG", "URL", "LOGIN", "PASSWORD")))
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
    """CHANCERY_X or the file that CHANCERY_X_FILE names, then X itself for the names in `bare`."""
    for name in names:
        variable = PREFIX + name.upper()
        said = environ.get(variable)
        yield name, variable, said
        if path := environ.get(f"{variable}_FILE"):
            if said:
                mistakes.append(
                    Mistake(name, f"{variable}_FILE", f"and {variable} are both set: say it in one place")
                )
            yield name, f"{variable}_FILE", _content(name, f"{variable}_FILE", Path(path), mistakes)
    for name in bare:
        yield name, name.upper(), environ.get(name.upper())
    known = [*(PREFIX + name.upper() for name in names), *_NOT_FIELDS]
    known += [f"{variable}_FILE" for variable in known]
    strange = sorted(
        variable for variable in environ if variable.startswith(PREFIX) and variable not in known
    )
    mistakes.extend(Mistake(variable, "environment", _unknown(variable, known)) for variable in strange)


def from_secrets_dir(
    environ: Mapping[str, str], names: Sequence[str], mistakes: list[Mistake]
) -> Iterator[tuple[str, str, object]]:
    """The files of CHANCERY_SECRETS_DIR, each named as its setting: what containers and systemd mount at once.

    Names with a dot in front are the mounter's business.
    """
    if not (given := environ.get(SECRETS_DIR)):
        return
    try:
        files = sorted(file for file in Path(given).iterdir() if not file.name.startswith("."))
    except OSError as error:
        mistakes.append(Mistake("secrets_dir", SECRETS_DIR, f"cannot be read: {error}"))
        return
    for file in files:
        if file.name in names:
            yield file.name, str(file), _content(file.name, str(file), file, mistakes)
        else:
            mistakes.append(Mistake(file.name, given, _unknown(file.name, names)))


def _content(name: str, where: str, file: Path, mistakes: list[Mistake]) -> str | None:
    """Without the line's end that editors write. Nobody names an empty file on purpose."""
    try:
        said = file.read_text().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        mistakes.append(Mistake(name, where, f"cannot be read: {_harmless(error)}"))
        return None
    if not said:
        mistakes.append(Mistake(name, where, "is an empty file"))
    return said


def _harmless(error: OSError | UnicodeDecodeError) -> str:
    """What a codec complains of would show the secret's bytes."""
    return "it is not UTF-8" if isinstance(error, UnicodeDecodeError) else str(error)


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
