"""The `chancery` command: every module here that has a `command` is one, imported when it is used."""

import pkgutil
from importlib import import_module

import rich_click as click

import cli
from cli.options import accept_settings
from domain.shared import noun_of


class Commands(click.RichGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted(_modules())

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        module = _modules().get(cmd_name)
        if module is None:
            return None
        command = getattr(import_module(f"cli.{module}"), "command", None)
        if not isinstance(command, click.Command):
            return None
        command.name = cmd_name
        return accept_settings(command)


def _modules() -> dict[str, str]:
    """Name of the command to its module, as nouns and their folders."""
    modules = (module.name for module in pkgutil.iter_modules(cli.__path__) if module.name != "main")
    return {noun_of(module).replace("_", "-"): module for module in modules}


@click.group("chancery", cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="chancery")
def chancery() -> None:
    """An event-sourced back office: powers, contracts and letters, with a record anyone can verify.

    `chancery up` starts everything. A setting is given as a flag, as CHANCERY_<NAME>, in the file that
    CHANCERY_<NAME>_FILE names, or in chancery.toml; `chancery config show` says which one won.
    """


accept_settings(chancery, every=True)


def main() -> None:
    chancery()


if __name__ == "__main__":
    main()
