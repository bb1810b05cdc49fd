"""`chancery up`: embedded servers, migrations, the first admin and our processes, until Ctrl-C."""

import http.client
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from http import HTTPStatus
from types import FrameType

import msgspec
import psycopg
import rich_click as click
from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from api.server import PortTaken, free_port
from cli.options import pass_settings
from infrastructure.backup.mark import standing_in_the_way
from infrastructure.embedded.children import Child
from infrastructure.embedded.folder import Folder
from infrastructure.embedded.stack import Stack, StackError
from infrastructure.embedded.supervisor import GaveUp, Supervisor
from infrastructure.logging import configure
from infrastructure.migrations import apply
from infrastructure.migrations.applying import Blocked, Refused
from infrastructure.settings import Settings, for_child
from infrastructure.settings_parts import Servers

PROCESSES = {"work": 15.0, "jobs": 20.0, "serve": 25.0}
"""In the order of their end, backwards: seconds each has to finish its work."""
_READY_WITHIN = 120.0


class Stopped(KeyboardInterrupt):
    """Somebody asked us to end."""


class Program:
    """One of our own processes, with secrets in its environment: argv can be read by every user."""

    def __init__(self, name: str, folder: Folder, settings: Settings) -> None:
        self.child = Child(name, folder.run)
        self._env = for_child(settings, os.environ) | {"PYTHONUNBUFFERED": "1"}

    def start(self) -> None:
        self.child.start([sys.executable, "-m", "cli.main", self.child.name], self._env)


@click.command("up")
@click.option(
    "--servers-only", is_flag=True, help="Start the servers alone, to restore a backup: nothing is served."
)
@pass_settings
def command(settings: Settings, *, servers_only: bool) -> None:
    """Start everything, in the foreground; Ctrl-C ends it and keeps the data."""
    configure(settings, "up")
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    try:
        with ExitStack() as ending:
            (_run_servers if servers_only else _run)(settings, ending)
    except Stopped:
        _say("Everything has ended. The data stay in " + str(settings.data_dir))
    except (*StackError, PortTaken, GaveUp, Blocked, Refused) as error:
        raise click.ClickException(str(error)) from None


def _run_servers(settings: Settings, ending: ExitStack) -> None:
    stack, supervisor = Stack(settings), Supervisor(_say)
    ending.callback(stack.stop)
    stack.complete(stack.start())
    for server in stack.servers:
        supervisor.watch(server)
    _say("The servers run, and nothing else: `chancery` in another terminal finds them. Stop with Ctrl-C.")
    _supervise(supervisor)


def _supervise(supervisor: Supervisor) -> None:
    while True:
        supervisor.step()
        time.sleep(0.2)


def _run(settings: Settings, ending: ExitStack) -> None:
    stack, supervisor = Stack(settings), Supervisor(_say)
    ending.callback(stack.stop)
    programs: dict[str, Program] = {}

    def start(name: str) -> None:
        programs[name].start()
        supervisor.watch(programs[name])

    def meanwhile(servers: Servers) -> None:
        """Our processes wait for the database by themselves, and load while it starts."""
        nonlocal settings
        settings = msgspec.structs.replace(stack.complete(servers), port=port)
        for name, patience in PROCESSES.items():
            programs[name] = Program(name, stack.folder, settings)
            ending.callback(programs[name].child.stop, patience)
        start("serve")
        start("work")

    port = free_port(settings.host, settings.port)
    servers = stack.start(meanwhile)
    if stack.orphans:
        _say("Ended what a killed `up` had left running: " + ", ".join(stack.orphans))
    apply(settings)
    _refuse_restored(settings)
    for server in stack.servers:
        supervisor.watch(server)
    _wait(supervisor, lambda: _ready(settings))
    start("jobs")
    stack.publish(servers, settings.base_url)
    _welcome(settings)
    _supervise(supervisor)


def _refuse_restored(settings: Settings) -> None:
    """What serves would wait for ever. Raises click.ClickException."""
    with psycopg.connect(settings.database_url, connect_timeout=5) as connection:
        if reason := standing_in_the_way(connection):
            raise click.ClickException(f"{reason}. Meanwhile: `chancery up --servers-only`")


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Raises Stopped."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # one is enough: what follows must run to its end
    os.write(2, "Stopping…\n".encode())  # a print may be under way
    raise Stopped


def _wait(supervisor: Supervisor, ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + _READY_WITHIN
    while not ready():
        supervisor.step()
        if time.monotonic() > deadline:
            raise GaveUp(f"The API was not ready within {_READY_WITHIN:.0f} s; its lines are above.")
        time.sleep(0.05)


def _ready(settings: Settings) -> bool:
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104
    asking = http.client.HTTPConnection(host, settings.port, timeout=5)
    try:
        asking.request("GET", f"{settings.root_path}/readyz")
        return asking.getresponse().status == HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()


def _say(sentence: str) -> None:
    click.echo(sentence, err=True)


def _made(settings: Settings) -> bool:
    return settings.sources["admin_password"] in ("embedded", "generated")


def _welcome(settings: Settings) -> None:
    table = Table.grid(padding=(0, 2))
    for row in (
        ("API", settings.base_url + "/api/v1"),
        ("Documentation", settings.base_url + "/docs"),
        ("Admin", settings.admin_email),
        ("Password", settings.admin_password if _made(settings) else "as set"),
        ("Data", str(settings.data_dir)),
    ):
        table.add_row(*row)
    console = Console()
    width = console.width if console.is_terminal else 120
    Console(width=width, highlight=False).print(
        Panel(table, title="Chancery is up", subtitle="stop with Ctrl-C", expand=False)
    )
