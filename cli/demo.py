"""`chancery demo`: the main job over real HTTP, each step with what it shows; then open to look around, or done."""

import csv
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import httpx
import rich_click as click
from rich.console import Console
from rich.rule import Rule
from rich.table import Table

from cli.running import NotReady, Stack, running_stack

DATA = Path(__file__).parent.parent / "data" / "french_companies.csv"
API = "/api/v1"
console = Console(highlight=False)


class Broken(Exception):
    """The story did not go as told."""


class Story:
    """The steps, numbered and timed as they are told."""

    def __init__(self, client: httpx.Client, stack: Stack) -> None:
        self.client, self.stack = client, stack
        self.number = 0
        self.figures: list[tuple[str, str]] = []
        self.last_position = 0

    def step(self, title: str) -> None:
        self.number += 1
        console.print(Rule(f"[bold]{self.number}. {title}", align="left", style="dim"))

    def shows(self, text: str) -> None:
        console.print(f"   {text}")

    def call(self, method: str, path: str, expected: int, **more: Any) -> httpx.Response:
        answer = self.client.request(method, API + path, **more)
        if answer.status_code != expected:
            raise Broken(f"{method} {path}: {answer.status_code} instead of {expected}: {answer.text[:500]}")
        position = answer.headers.get("x-event-position")
        if position is not None:
            self.last_position = max(self.last_position, int(position))
        return answer

    def tool(self, *words: str, expected: int = 0) -> str:
        """Another `chancery` command, run as a person would; its last line."""
        done = subprocess.run(
            [sys.executable, "-m", "cli.main", *words],
            env=self.stack.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != expected:
            raise Broken(f"chancery {' '.join(words)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        lines = [line for line in (done.stdout or done.stderr).splitlines() if line.strip()]
        return lines[-1] if lines else ""

    def read(self, path: str, **parameters: Any) -> Any:
        """A read that has seen everything written so far."""
        headers = {"X-Min-Position": str(self.last_position)}
        return self.call("GET", path, 200, params=parameters, headers=headers).json()


def companies() -> Iterator[dict[str, Any]]:
    """The 100 companies as bodies of POST /organisations."""
    with DATA.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            address = {
                "text": f"{row['adresse']}, {row['code_postal']} {row['commune']}",
                "postal_code": row["code_postal"],
                "locality": row["commune"],
                "complement": row["complement_adresse"] or None,
                "country": row["pays"],
            }
            yield {
                "full_name": row["nom_raison_sociale"],
                "identifiers": {"siren": row["siren"], "nic": row["siret"][-5:]},
                "addresses": {"legal": address},
                "region_code": row["region"] or None,
                "activity_code": row["activite_principale"] or None,
                "headcount_band": row["tranche_effectif_salarie"] or None,
                "started_on": row["date_debut_activite"] or None,
            }


def sign_in(story: Story) -> None:
    story.step("The administrator signs in")
    wrong = story.call(
        "POST", "/auth/login", 401, json={"login": story.stack.admin_email, "password": "wrong " * 3}
    )
    story.shows(f"a wrong password: 401 {wrong.json()['code']}")
    pair = story.call(
        "POST",
        "/auth/login",
        200,
        json={"login": story.stack.admin_email, "password": story.stack.admin_password},
    ).json()
    story.client.headers["authorization"] = f"Bearer {pair['access_token']}"
    story.shows(f"the right one: a token for {pair['expires_in']} s, bound to session {pair['session_id']}")


def register(story: Story) -> dict[str, str]:
    story.step("The 100 rows of the French register are sent as commands")
    started, ids, refused = time.perf_counter(), dict[str, str](), 0
    bodies = list(companies())
    for body in bodies:
        answer = story.client.post(f"{API}/organisations", json=body)
        name = body["full_name"]
        if answer.status_code == 409 and answer.json()["candidates"][0]["id"] == ids.get(name):
            refused += 1
        elif answer.status_code == 201:
            ids[name] = answer.json()["id"]
            story.last_position = answer.json()["position"]
        else:
            raise Broken(f"{name}: {answer.status_code} {answer.text}")
    seconds = time.perf_counter() - started
    story.figures.append(("commands, one after the other", f"{len(bodies) / seconds:,.0f}/s"))
    story.shows(f"{len(ids)} organisations registered, the last at position {story.last_position} of the log")
    story.shows(
        f"{refused} rows name one of them again (same SIREN and NIC): 409, each with the candidate's id"
    )
    return ids


def refuse(story: Story) -> None:
    story.step("What must not happen does not")
    answer = story.call("POST", "/organisations", 400, json={"full_nam": "?", "is_gov": "yes"})
    story.shows(f"three mistakes in one body: 400 with {[e['pointer'] for e in answer.json()['errors']]}")
    with httpx.Client(base_url=str(story.client.base_url)) as stranger:
        answer = stranger.get(f"{API}/organisations")
        story.shows(f"a stranger: {answer.status_code} {answer.json()['code']}")
    key = {"Idempotency-Key": secrets.token_hex(8)}
    body = {"full_name": "SENT TWICE", "identifiers": {"tax_id": "T-1"}}
    once = story.call("POST", "/organisations", 201, json=body, headers=key)
    twice = story.call("POST", "/organisations", 201, json=body, headers=key)
    same = once.json() == twice.json() and twice.headers.get("idempotent-replayed") == "true"
    story.shows(
        f"one command sent twice with one Idempotency-Key: {'one organisation, the same answer' if same else 'TWO'}"
    )
    if not same:
        raise Broken("a retry was executed twice")


def change(story: Story, ids: Mapping[str, str]) -> str:
    story.step("One of them changes")
    ref = ids["LA POSTE"]
    etag = story.client.get(
        f"{API}/organisations/{ref}", headers={"X-Min-Position": str(story.last_position)}
    ).headers["etag"]
    story.call(
        "PATCH", f"/organisations/{ref}", 200, json={"short_name": "La Poste"}, headers={"If-Match": etag}
    )
    late = story.call(
        "PATCH", f"/organisations/{ref}", 412, json={"short_name": "?"}, headers={"If-Match": etag}
    )
    story.shows(f"a second editor with the old version: 412, current is v{late.json()['current']}")
    same = story.call("PATCH", f"/organisations/{ref}", 200, json={"short_name": "La Poste"}).json()
    story.shows(f"the same change again appends nothing: still version {same['version']}")
    for entry in story.read(f"/organisations/{ref}/history")["data"]:
        what = ", ".join(f"{c['field']}: {c['from']!r} → {c['to']!r}" for c in entry["changes"][:2])
        story.shows(f"history: v{entry['version']} {entry['topic']} {what}")
    return ref


def lists(story: Story) -> None:
    story.step("Lists are filtered as people type")
    for text in (
        'region=11 AND name:"france"',
        "activity_code=70.10Z ou activity_code=64.19Z",
        "started_on<01-01-2008",
    ):
        found = story.read(
            "/organisations", filter=text, include_total="true", page_size=3, order_by="full_name"
        )
        names = ", ".join(row["full_name"] for row in found["data"])
        story.shows(f"{text}  →  {found['total']}: {names} …")
    refused = story.call(
        "GET", "/organisations", 400, params={"filter": "region=11 AND is_gov=false OR is_gov=true"}
    )
    story.shows(f"AND and OR mixed: 400 {refused.json()['code']}")


def proof(story: Story, ref: str) -> None:
    story.step("The record is proved to be in the log")
    newest = story.read(f"/organisations/{ref}")
    at = newest["position"]
    text = story.call("GET", f"/audit/entries/{at}/proof", 200).text
    story.shows(
        f"position {at}: an inclusion proof of {len(text.splitlines())} lines against a signed checkpoint"
    )
    checkpoint = story.client.get(f"{API}/audit/checkpoint").text.splitlines()
    story.shows(f"checkpoint: {checkpoint[0]}, size {checkpoint[1]}, root {checkpoint[2]}")


def tamper(story: Story) -> None:
    story.step("One byte is changed in a copy, and found")
    with tempfile.TemporaryDirectory() as folder:
        good, bad = Path(folder) / "log.ndjson", Path(folder) / "changed.ndjson"
        story.tool("audit", "export", str(good))
        story.shows(f"export and verify offline: {story.tool('audit', 'verify', str(good))}")
        shutil.copy(good, bad)
        change_one_byte(bad)
        story.shows(f"one byte changed: exit 2, {story.tool('audit', 'verify', str(bad), expected=2)}")


def change_one_byte(export: Path) -> None:
    """In the 50th entry, somewhere in the middle of the event itself."""
    lines = export.read_bytes().splitlines(keepends=True)
    line = bytearray(lines[50])
    at = line.index(b'"leaf":"') + 200
    line[at] = ord("A") if line[at] != ord("A") else ord("B")
    lines[50] = bytes(line)
    export.write_bytes(b"".join(lines))


def rebuild(story: Story) -> None:
    story.step("The read model is thrown away, rebuilt from the events, and compared")
    story.shows(story.tool("projections", "rebuild", "organisation"))
    story.shows(story.tool("projections", "verify", "organisation"))
    story.shows(story.tool("guards", "verify"))


def figures(story: Story) -> None:
    table = Table(title="What it took", show_header=False, box=None)
    for name, value in story.figures:
        table.add_row(name, value)
    console.print(table)


def play(stack: Stack) -> None:
    """The whole story. Raises Broken when a step does not go as told."""
    started = time.perf_counter()
    with httpx.Client(base_url=stack.url, timeout=30) as client:
        story = Story(client, stack)
        sign_in(story)
        ids = register(story)
        refuse(story)
        ref = change(story, ids)
        lists(story)
        proof(story, ref)
        rebuild(story)
        tamper(story)
        story.figures.append(("the whole story", f"{time.perf_counter() - started:.1f} s"))
        figures(story)


@click.command()
@click.option(
    "--keep-open/--no-keep-open", default=None, help="Stay open afterwards (default: on a terminal)."
)
def command(keep_open: bool | None) -> None:
    """Start everything, play the story over HTTP, print what it shows."""
    console.print(
        f"[bold]Chancery {version('chancery')}[/bold]: the demo starts its own servers in an empty folder."
    )
    stay = sys.stdin.isatty() and sys.stdout.isatty() if keep_open is None else keep_open
    try:
        with running_stack() as stack:
            play(stack)
            console.print("[bold green]Everything held.[/bold green]")
            if stay:
                console.print(
                    f"Open: {stack.url}/docs  ({stack.admin_email} / {stack.admin_password})  Ctrl-C ends it."
                )
                stack.wait()
    except (Broken, NotReady) as problem:
        console.print(f"[bold red]The story broke:[/bold red] {problem}", markup=True)
        raise SystemExit(1) from None
