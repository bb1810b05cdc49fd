"""`chancery audit`: take the log away, verify it anywhere, prove, replay and compare what is in it."""

from importlib import import_module

import rich_click as click

from cli.options import accept_settings

COMMANDS = {
    "export": "audit_export",
    "verify": "audit_verify",
    "prove": "audit_verify",
    "replay": "audit_replay",
    "diff": "audit_diff",
    "certificate": "audit_certificate",
    "rotate-key": "audit_key",
}
"""Where each stands; imported when it is used, for who verifies a file needs no database and no server."""


class Commands(click.RichGroup):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        found: click.Command = getattr(import_module(f"cli.{COMMANDS[cmd_name]}"), cmd_name.replace("-", "_"))
        return accept_settings(found)


@click.group("audit", cls=Commands)
def command() -> None:
    """Take the log away, verify it anywhere, prove, replay and compare what is in it.

    Exit codes: 0 ok, 2 tampered, 3 incomplete, 4 untrusted key.
    """
