"""The `chancery` command: every module here that has a `command` is one, imported when it is used."""

import pkgutil
from importlib import import_module

import rich_click as click

import cli
from cli.options import accept_settings


class Commands(click.RichGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        modules = sorted(module.name for module in pkgutil.iter_modules(cli.__path__))
        return [module.replace("_", "-") for module in modules if f"cli.{module}" != "cli.main"]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.list_commands(ctx):
            return None
        command = getattr(import_module(f"cli.{cmd_name.replace('-', '_')}"), "command", None)
        if not isinstance(command, click.Command):
            return None
        command.name = cmd_name
        return accept_settings(command)


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
