"""`chancery demo`: the main job over real HTTP, each step with what it shows; then open to look around, or done."""

import csv
import secrets
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from types import FrameType
from typing import Any

import httpx
import rich_click as click

from cli.people import give_powers, send_message, sign_contract
from cli.running import NotReady, Stack, stack_of_ones_own
from cli.story import API, Broken, Story, wide_console
from cli.tampering import change_stored_byte, changed_export, copied_database
from infrastructure.audit_proof import NotProved, check
from infrastructure.signed_note import Verifier, parse_vkey
from projections.leaf import unbundle
from projections.tiles import WIDTH, tile_path

DATA = Path(__file__).parent.parent / "data" / "french_companies.csv"
CLERKS, CHANGES, READS = 10, 40, 400
"""Callers at once in the busy step, commands of each, and reads of all together."""


def companies() -> Iterator[dict[str, Any]]:
    """The 100 rows as bodies of POST /organisations."""
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
    who = {"login": story.stack.admin_email, "password": "wrong " * 3}
    wrong = story.call("POST", "/auth/login", 401, json=who)
    story.shows(f"a wrong password: 401 {wrong.json()['code']}")
    who["password"] = story.stack.admin_password
    pair = story.call("POST", "/auth/login", 200, json=who).json()
    story.client.headers["authorization"] = f"Bearer {pair['access_token']}"
    story.shows(f"the right one: a token for {pair['expires_in']} s, bound to session {pair['session_id']}")


def register(story: Story) -> dict[str, str]:
    story.step("The 100 rows of the French register are sent as commands")
    ids, refused = dict[str, str](), 0
    bodies = list(companies())
    started = time.perf_counter()
    for body in bodies:
        name = body["full_name"]
        answer = story.expect(
            lambda: story.client.post(f"{API}/organisations", json=body),  # noqa: B023 (asked at once)
            409 if name in ids else 201,
        ).json()
        if name not in ids:
            ids[name] = answer["id"]
        elif answer["candidates"][0]["id"] != ids[name]:
            raise Broken(f"the duplicate of {name} names {answer['candidates']}")
        else:
            refused += 1
    seconds = time.perf_counter() - started
    story.figure("commands, one after the other", f"{len(bodies) / seconds:,.0f}/s")
    story.shows(f"{len(ids)} organisations registered, the last at position {story.position} of the log")
    story.shows(f"{refused} rows name one of them again (same SIREN and NIC): 409, with the one they repeat")
    return ids


def refuse(story: Story, ids: Mapping[str, str]) -> None:
    story.step("What must not happen does not")
    answer = story.call("POST", "/organisations", 400, json={"full_nam": "?", "is_gov": "yes"}).json()
    story.shows(f"a body with three mistakes: 400 naming {', '.join(e['pointer'] for e in answer['errors'])}")
    with httpx.Client(base_url=story.stack.url) as stranger:
        refused = stranger.get(f"{API}/organisations")
        story.holds(refused.status_code == 401, f"a stranger: 401 {refused.json()['code']}")
    key = {"Idempotency-Key": secrets.token_hex(8)}
    path, body = f"/organisations/{ids['ORANGE']}", {"short_name": "Orange"}
    once = story.call("PATCH", path, 200, json=body, headers=key)
    twice = story.call("PATCH", path, 200, json=body, headers=key)
    story.holds(
        once.content == twice.content and twice.headers.get("idempotent-replayed") == "true",
        f"one command sent twice under one Idempotency-Key: done once, as version {once.json()['version']},"
        " and answered alike",
    )


def change(story: Story, ids: Mapping[str, str]) -> str:
    story.step("One of them changes, and nothing is overwritten")
    ref = ids["LA POSTE"]
    path, newest = f"/organisations/{ref}", {"X-Min-Position": str(story.position)}
    seen = {"If-Match": story.call("GET", path, 200, headers=newest).headers["etag"]}
    story.call("PATCH", path, 200, json={"short_name": "La Poste"}, headers=seen)
    late = story.call("PATCH", path, 412, json={"short_name": "?"}, headers=seen)
    story.shows(f"a second editor who saw the old version: 412, current is {late.json()['current']}")
    same = story.call("PATCH", path, 200, json={"short_name": "La Poste"}).json()
    story.shows(f"the same change again appends nothing: still version {same['version']}")
    for entry in story.read(f"{path}/history")["data"]:
        told = [f"{c['field']}: {_quoted(c['from'])} → {_quoted(c['to'])}" for c in entry["changes"]]
        picked = [each for each in told if each.startswith(("full_name", "short_name"))]
        story.shows(f"history: v{entry['version']} {entry['topic']}, {', '.join(picked)}")
    before = story.read(path, as_of="v1")
    story.holds(before["short_name"] is None, "as of v1 it still has no short name")
    return ref


def _quoted(value: object) -> str:
    return "nothing" if value is None else f'"{value}"'


def lists(story: Story) -> None:
    story.step("Lists are filtered as people type")
    for text in (
        'region=11 AND name:"france"',
        "activity_code=70.10Z ou activity_code=64.19Z",
        "started_on<01-01-2010",
        "NOT (headcount_band=53)",
    ):
        wanted = {"filter": text, "include_total": "true", "page_size": 3, "order_by": "full_name"}
        found = story.read("/organisations", **wanted)
        names = [row["full_name"] for row in found["data"]] + ["…"] * found["has_more"]
        story.holds(found["total"] > 0, f"{text}  →  {found['total']}: {', '.join(names)}")
    mixed = {"filter": "region=11 AND is_gov=false OR is_gov=true"}
    refused = story.call("GET", "/organisations", 400, params=mixed).json()
    story.shows(f"AND and OR mixed without parentheses: 400 {refused['code']}")


def be_busy(story: Story, ids: Mapping[str, str]) -> None:
    story.step(f"{CLERKS} clerks make {CHANGES} changes each at once; read models and audit log follow")
    before = story.position
    with ThreadPoolExecutor(CLERKS) as clerks:
        seconds = _timed(lambda: list(clerks.map(lambda ref: _keep_changing(story, ref), ids.values())))
        story.figure(f"commands, {CLERKS} callers in one process", f"{CLERKS * CHANGES / seconds:,.0f}/s")
        paths = [f"/organisations/{ref}" for ref in ids.values()] * (READS // len(ids))
        seconds = _timed(lambda: list(clerks.map(lambda path: story.call("GET", path, 200), paths)))
        story.figure(f"reads, {CLERKS} callers in one process", f"{len(paths) / seconds:,.0f}/s")
    story.holds(
        story.position == before + CLERKS * CHANGES,
        f"{CLERKS * CHANGES} commands, {CLERKS * CHANGES} events: positions {before + 1} to {story.position}"
        " without a gap",
    )
    behind = [_readable_after(story, ref) for ref in list(ids.values()) * 2]
    story.figure("from the receipt to the read model", f"{statistics.median(behind) * 1000:,.1f} ms (median)")
    newest = story.read("/audit/entries", page_size=1)["data"][0]
    is_ours = newest["position"] == story.position
    story.holds(is_ours, f"the newest audit entry is {story.position}, {newest['topic']}")
    story.shows(f"by {newest['actor']['kind']} {newest['actor']['id']}, allowed by {newest['allowed_by']}")


def _keep_changing(story: Story, ref: str) -> None:
    for number in range(CHANGES):
        story.call("PATCH", f"/organisations/{ref}", 200, json={"headcount_band": str(number % 2)})


def _readable_after(story: Story, ref: str) -> float:
    """Seconds from the receipt of a change to the answer of a read that has it, less those of a read."""
    path = f"/organisations/{ref}"
    story.call("PATCH", path, 200, json={"headcount_band": secrets.token_hex(1)})
    following = _timed(lambda: story.read(path))
    return max(0.0, following - _timed(lambda: story.read(path)))


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def prove(story: Story, ref: str) -> Verifier:
    story.step("The record is proved to be in the log, and its reader need not trust the operator")
    key = parse_vkey(story.call("GET", "/audit/keys", 200).json()["data"][0]["vkey"])
    story.shows(f"the log's public key: {key.vkey()}")
    at = story.read(f"/organisations/{ref}")["position"]
    proof = story.call("GET", f"/audit/entries/{at}/proof", 200).text
    number, place = divmod(at - 1, WIDTH)
    tile = tile_path(number, place + 1)
    leaf = unbundle(story.call("GET", f"/audit/tile/entries/{tile}", 200).content)[place]
    signed = check(proof, leaf, [key])
    story.shows(f"entry {at} is under the root of {signed.size} entries that this key has signed")
    try:
        check(proof, leaf[:-3] + b"!" + leaf[-2:], [key])
    except NotProved:
        story.shows("with one byte of the entry changed, the same proof proves nothing")
    else:
        raise Broken("a changed entry was proved")
    return key


def rebuild(story: Story) -> None:
    story.step("The read model is thrown away, rebuilt from the events, and compared")
    wanted = {"page_size": 100, "order_by": "full_name"}
    before = story.read("/organisations", **wanted)
    for line in story.tool("projections", "rebuild", "organisation"):
        story.shows(line)
    after = story.read("/organisations", **wanted)
    story.holds(before == after, f"the list before and after, over HTTP: {len(after['data'])} rows, equal")
    for line in (*story.tool("projections", "verify", "organisation"), *story.tool("guards", "verify")):
        story.shows(line)


def tamper(story: Story, key: Verifier) -> None:
    position = story.position // 2
    story.step("One stored byte is changed in a copy, and found")
    with tempfile.TemporaryDirectory() as folder:
        good, bad = Path(folder) / "log.ndjson", Path(folder) / "changed.ndjson"
        story.tool("audit", "export", str(good))
        ours = ("--key", key.vkey())
        story.shows(f"an export, verified offline: {story.tool('audit', 'verify', str(good), *ours)[-1]}")
        changed_export(good, bad, position)
        found = story.tool("audit", "verify", str(bad), *ours, expected=2)
        story.shows(f"the export with one byte changed: exit 2, {found[-1]}")
        story.figure("the log as an auditor takes it away", f"{good.stat().st_size / 1000:,.0f} kB")
    with copied_database(story.stack.data_dir) as url:
        live = ("audit", "verify", "--live", *ours)
        story.shows(f"the database, restored beside: {story.tool(*live, CHANCERY_DATABASE_URL=url)[-1]}")
        change_stored_byte(url, position)
        found = story.tool(*live, expected=2, CHANCERY_DATABASE_URL=url)
        story.shows(f"the same with one byte changed behind every trigger: exit 2, {found[-1]}")


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
        sign_contract(story, ref, claire, marc, eve)
        send_message(story, claire, marc, eve)
        be_busy(story, ids)
        key = prove(story, ref)
        rebuild(story)
        tamper(story, key)
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
