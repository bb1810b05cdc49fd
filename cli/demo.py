"""`chancery demo`: the main job over real HTTP, each step with what it shows; then open to look around, or done."""

import signal
import sys
import time
from importlib.metadata import version
from types import FrameType

import httpx
import rich_click as click

from cli.auditor import auditor, forget, tamper
from cli.companies import CLERKS, be_busy, change, lists, refuse
from cli.crm import crm_day
from cli.dialog import talk
from cli.evidence import prove, rebuild
from cli.letters import correspond
from cli.people import give_powers, sign_contract
from cli.programs import ask_as_programs
from cli.records import keep_records
from cli.register import register
from cli.running import NotReady, Stack, stack_of_ones_own
from cli.searching import look_through
from cli.sessions import block, steal
from cli.story import Broken, Story, wide_console


def sign_in(story: Story) -> None:
    story.step("The administrator signs in")
    who = {"login": story.stack.admin_email, "password": "wrong " * 3}
    wrong = story.call("POST", "/auth/login", 401, json=who)
    story.shows(f"a wrong password: 401 {wrong.json()['code']}")
    who["password"] = story.stack.admin_password
    pair = story.call("POST", "/auth/login", 200, json=who).json()
    story.client.headers["authorization"] = f"Bearer {pair['access_token']}"
    story.shows(f"the right one: a token for {pair['expires_in']} s, bound to session {pair['session_id']}")


def play(stack: Stack) -> None:
    """The whole story. Raises Broken when a step does not go as told."""
    started = time.perf_counter()
    limits = httpx.Limits(max_connections=CLERKS)
    with httpx.Client(base_url=stack.url, timeout=30, limits=limits) as client:
        story = Story(client, stack, wide_console())
        sign_in(story)
        ids = register(story)
        refuse(story, ids)
        ref = change(story, ids)
        lists(story)
        claire, marc, eve = give_powers(story)
        keep_records(story, ids, claire, eve)
        correspond(story, ids)
        signed = sign_contract(story, ref, claire, marc, eve)
        talk(story, claire, marc, eve)
        look_through(story, ids, eve)
        crm_day(story, ids["LIDL"])
        ask_as_programs(story, marc, signed)
        steal(story, claire)
        block(story, eve)
        be_busy(story, ids)
        key = prove(story, ref)
        rebuild(story)
        with auditor(key) as someone:
            tamper(story, someone, key)
            forget(story, someone, claire)
        story.figure("events", f"{story.position:,}")
        story.figure("the whole story", f"{time.perf_counter() - started:.1f} s")
        story.figures()


@click.command()
@click.option(
    "--keep-open/--no-keep-open", default=None, help="Stay open afterwards (default: on a terminal)."
)
def command(*, keep_open: bool | None) -> None:
    """Start everything, play the story over HTTP, print what it shows."""
    console = wide_console()
    console.print(f"[bold]Chancery {version('chancery')}[/bold] starts its own servers in an empty folder.")
    stay = sys.stdin.isatty() and sys.stdout.isatty() if keep_open is None else keep_open
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _stop)
    started, held = time.perf_counter(), False
    try:
        with stack_of_ones_own() as stack:
            console.print(f"PostgreSQL, NATS, Redis, S3, API, work and jobs run after {_since(started)}.")
            play(stack)
            held = True
            console.print("[bold green]Everything held.[/bold green]")
            if stay:
                console.print(f"Open: {stack.url}/docs  ({stack.admin_email} / {stack.admin_password})")
                console.print("Ctrl-C ends it.")
                signal.pause()
    except (Broken, NotReady) as problem:
        console.print("[bold red]The story broke:[/bold red]")
        console.print(str(problem), markup=False)
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        console.print("Ended.")
        raise SystemExit(0 if held else 130) from None


def _since(started: float) -> str:
    return f"{time.perf_counter() - started:.1f} s"


def _stop(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # one is enough: what follows must run to its end
    raise KeyboardInterrupt
