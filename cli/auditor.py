"""The demo's auditor: the log verified in a bare directory, tampered with, caught; a person forgotten, all verified."""

import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cli.people import Person
from cli.story import Broken, Story
from cli.tampering import change_stored_byte, changed_export, copied_database
from infrastructure.audit.signed_note import Verifier

VERIFIER = Path(__file__).parents[1] / "docs" / "verify" / "verify_export.py"
EVERYTHING = ("email", "first_name", "last_name", "patronymic", "display_name", "phone")


class Auditor:
    """Somebody with one small program, in a directory that has nothing else; he knows the key of the log."""

    def __init__(self, folder: Path, key: Verifier) -> None:
        self.folder, self._key = folder, key
        self._program = ["-m", "cli.main", "audit", "verify"]  # where documents were not installed
        if VERIFIER.exists():
            (folder / VERIFIER.name).write_bytes(VERIFIER.read_bytes())
            self._program = ["-I", VERIFIER.name]

    def verifies(self, export: str, expected: int, *more: str) -> list[str]:
        """What it says of that export. Raises Broken when it ends otherwise."""
        program = [sys.executable, *self._program, export, "--key", self._key.vkey(), *more]
        done = subprocess.run(program, cwd=self.folder, env={}, capture_output=True, text=True, check=False)  # noqa: S603
        if done.returncode != expected:
            raise Broken(f"{' '.join(self._program)}: exit {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout.splitlines()


@contextmanager
def auditor(key: Verifier) -> Generator[Auditor]:
    with tempfile.TemporaryDirectory() as folder:
        yield Auditor(Path(folder), key)


def tamper(story: Story, auditor: Auditor, key: Verifier) -> None:
    position = story.position // 2
    story.step("An auditor takes the log away; one byte of it is changed, and found")
    good, bad = auditor.folder / "log.ndjson", auditor.folder / "changed.ndjson"
    story.tool("audit", "export", str(good))
    story.shows(f"in a bare directory: {VERIFIER.name}, one file of Python to read, and the export")
    story.shows(f"it says: {_in_short(auditor.verifies(good.name, 0)[-1])}, signed by the key that he knows")
    changed_export(good, bad, position)
    found = auditor.verifies(bad.name, 2)
    story.shows(f"with one byte of the export changed: exit 2, {found[0]}")
    story.figure("the log as an auditor takes it away", f"{good.stat().st_size / 1000:,.0f} kB")
    live = ("audit", "verify", "--live", "--key", key.vkey())
    with copied_database(story.stack.data_dir) as url:
        story.shows(f"the database, restored beside: {story.tool(*live, CHANCERY_DATABASE_URL=url)[-1]}")
        change_stored_byte(url, position)
        found = story.tool(*live, expected=2, CHANCERY_DATABASE_URL=url)
        story.shows(f"the same with one byte changed behind every trigger: exit 2, {found[-1]}")


def forget(story: Story, auditor: Auditor, person: Person) -> None:
    story.step("A person is forgotten, and every proof of what she did still holds")
    account = f"/users/{person.id}"
    (auditor.folder / "kept").write_bytes(story.call("GET", "/audit/checkpoint", 200).content)
    before = story.read(account)
    story.shows(f"there is {before['first_name']} {before['last_name']}, {before['email']}")
    hold = {"subject": {"type": "user", "id": person.id}, "reason": "Case 12"}
    held = story.call("POST", "/legal-holds", 201, json=hold).json()["id"]
    asked = {"reason": "She asked for it"}
    refused = story.call("POST", f"{account}/erase", 423, json=asked).json()
    story.holds(refused["legal_holds"] == [held], "under a legal hold nobody is forgotten: 423, with its id")
    story.call("POST", f"/legal-holds/{held}/release", 200, json={"reason": "Settled"})
    told = story.call("GET", f"{account}/personal-data", 200).json()
    story.shows(f"given out before: {len(told['activity'])} things she did, {len(told['messages'])} message")
    story.call("POST", f"{account}/erase", 200, json=asked)
    for when, told in (
        ("now", story.read(account)),
        ("as of then", story.read(account, as_of=before["position"])),
        ("in the log", _registered(story, person)),
    ):
        shown = {name: told.get(name) for name in EVERYTHING}
        story.holds(set(shown.values()) == {None}, f"{when}: {', '.join(EVERYTHING)} are null")
    contract = story.read("/contracts/2026-lighting")
    story.holds(contract["status"] == "signed", "the contract that she drafted is signed as it was")
    story.tool("audit", "export", str(auditor.folder / "later.ndjson"))
    said = auditor.verifies("later.ndjson", 0, "--checkpoint", "kept")
    story.shows(f"the auditor, who kept the checkpoint from before: {_in_short(said[-1])}")
    old, new = (_entries(auditor.folder / name) for name in ("log.ndjson", "later.ndjson"))
    story.holds(
        new[: len(old)] == old, f"the {len(old):,} entries of his first export are the same, byte for byte"
    )


def _in_short(line: str) -> str:
    """A root without the half of its digits."""
    return line[: line.rindex(" ") + 33]


def _registered(story: Story, person: Person) -> Any:
    """What the log says of how her account began."""
    wanted = {"filter": f"subject={person.id} AND topic=user.registered.v1"}
    (entry,) = story.read("/audit/entries", **wanted)["data"]
    return entry["data"]


def _entries(export: Path) -> list[bytes]:
    return [line for line in export.read_bytes().splitlines() if line.startswith(b'{"i":')]
