"""Settings as flags: every command takes them, before or after its name."""

import functools
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import rich_click as click
from click import get_current_context

from infrastructure.settings import DESCRIPTIONS, SECRETS, SERVERS, SETTINGS, Settings, SettingsError, load

_FLAGS = "chancery.flags"
_SHOWN = ("mode", "host", "port", "data_dir")
P = ParamSpec("P")
R = TypeVar("R")


class WrongSettings(click.ClickException):
    exit_code = 2

    def __init__(self, error: SettingsError) -> None:
        lines = [f"  {name} ({source}): {problem}" for name, source, problem in error.mistakes]
        super().__init__("\n".join([f"{len(lines)} mistake(s) in the settings:", *lines]))


def accept_settings(command: click.Command, *, every: bool = False) -> click.Command:
    """Give the command, and those below it, a flag for each setting that is no secret; help shows the usual ones."""
    taken = {option for parameter in command.params for option in parameter.opts}
    command.params.extend(option for option in _options(every=every) if not taken & set(option.opts))
    for below in command.commands.values() if isinstance(command, click.Group) else ():
        accept_settings(below)
    return command


def settings_of(context: click.Context, needed: Collection[str] | None = None) -> Settings:
    """The settings as the flags given so far have them; `needed` as in `load`. Raises WrongSettings."""
    flags: dict[str, Any] = dict(context.meta.get(_FLAGS, {}))
    config = flags.pop("config", None)
    try:
        return load(flags, toml_path=Path(config) if config else None, needed=needed)
    except SettingsError as error:
        raise WrongSettings(error) from None


def pass_settings(function: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
    """Hands the settings to a command as its first argument."""
    return _passing(function, None)


def pass_settings_needing(
    *needed: str,
) -> Callable[[Callable[Concatenate[Settings, P], R]], Callable[P, R]]:
    """As `pass_settings`, of a command that production mode lets run with these alone: it gets no secret it can do
    without."""

    def wrap(function: Callable[Concatenate[Settings, P], R]) -> Callable[P, R]:
        return _passing(function, needed)

    return wrap


def _passing(
    function: Callable[Concatenate[Settings, P], R], needed: Collection[str] | None
) -> Callable[P, R]:
    @functools.wraps(function)
    def run(*args: P.args, **kwargs: P.kwargs) -> R:
        return function(settings_of(get_current_context(), needed), *args, **kwargs)

    return run


def _options(*, every: bool) -> list[click.Option]:
    helped = {"config": "TOML file with settings [default: chancery.toml, if there is one]"}
    # A server's URL has a password in it, and every user of the machine can read argv.
    helped |= {name: DESCRIPTIONS[name] for name in SETTINGS if name not in SECRETS and name not in SERVERS}
    return [
        click.Option(
            [f"--{name.replace('_', '-')}"],
            metavar="VALUE",
            help=text,
            hidden=not (every or name == "config" or name in _SHOWN),
            expose_value=False,
            callback=_note,
        )
        for name, text in helped.items()
    ]


def _note(context: click.Context, parameter: click.Parameter, value: str | None) -> None:
    if value is not None:
        context.meta.setdefault(_FLAGS, {})[parameter.name] = value
