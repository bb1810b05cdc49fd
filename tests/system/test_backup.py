"""The drill: an office is backed up, lives on, loses everything, and comes back; who was ahead of it finds out."""

import json
import os
import re
import shutil
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from click.testing import CliRunner

from cli.main import chancery as commands
from infrastructure.embedded.children import wait_until
from tests import servers, whole

PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
SET = [name for name in os.environ if name.startswith("CHANCERY_")]


class Office:
    """What was done before the backup, and who was forgotten when."""

    def __init__(self, admin) -> None:
        self._admin = admin
        self.erased, self.kept, self.erased_later = (self._user(name) for name in ("Early", "Ann", "Late"))
        self.company = self.post("/organisations", full_name="A customer")["id"]
        amount = {"amount": "10.00", "currency": "EUR"}
        self.contract = self.post("/contracts", kind="sale", organisation_id=self.company, amount=amount)[
            "id"
        ]
        self.post(f"/contracts/{self.contract}/sign")
        scan = {"file": ("scan.pdf", PDF, "application/pdf")}
        self.file = (
            admin.post("/files", files=scan, data={"purpose": "document"}).raise_for_status().json()["id"]
        )
        letter = {"sender_number": "17/3", "sender_date": "2026-02-27", "received_on": "2026-03-01"}
        letter |= {"subject": "On the audit of the site"}
        self.letter = self.post("/letters/incoming", organisation_ids=[self.company], **letter)
        self.post(f"/users/{self.erased}/erase", reason="asked for it")

    def post(self, path, **body):
        answer = self._admin.post(path, json=body, headers={"Idempotency-Key": uuid4().hex})
        assert answer.status_code in (200, 201), answer.text
        return answer.json()

    def _user(self, name):
        return self.post("/users", email=f"{name}@example.org", first_name=name, last_name="Zimt")["id"]


class Follower:
    """An outside consumer, as docs/how-to/follow-events.md has it: a position, and the id of the event there."""

    def __init__(self) -> None:
        self.position, self.event_id, self.seen = 0, None, []

    def follow(self, admin) -> str:
        """To the end of the feed. `another history` when what it knows last is not there any more."""
        while True:
            known = self.position - 1 if self.position else 0
            answer = admin.get("/events", params={"after": known, "limit": 1000})
            if answer.status_code == 400 and answer.json()["code"].startswith("position"):
                return "another history"
            page = answer.raise_for_status().json()
            news = page["data"]
            if self.position and (not news or news.pop(0)["event_id"] != self.event_id):
                return "another history"
            for event in news:
                self.seen.append(event["event_id"])
                self.position, self.event_id = event["position"], event["event_id"]
            if not page["has_more"]:
                return "at the end"


@pytest.fixture
def folder():
    made = servers.place("backup")
    made.mkdir(mode=0o711)
    return made


def test_the_drill(folder, capsys):
    backup, keys, newest = (str(folder / name) for name in ("backup", "keys", "newest.ndjson"))
    consumer = Follower()
    with whole.up(folder, CHANCERY_ADMIN_PASSWORD="") as chancery:
        password = (chancery.data_dir / "secrets/admin_password").read_text()
        with signed_in(chancery, password) as admin:
            office = Office(admin)
            assert consumer.follow(admin) == "at the end"
            before = checkpoint(admin, consumer.position, folder / "kept before")
            said = typed(chancery, "backup", "create", backup, "--keys-to", keys)
            assert "the key-encryption key is not among them" not in said, (
                "`up` has made it, and nobody else has it"
            )
            typed(chancery, "backup", "verify", backup, "--keys", keys, "--checkpoint", str(before))
            office.post(f"/users/{office.erased_later}/erase", reason="asked for it")
            lost = [office.post("/organisations", full_name=f"Lost {n}")["id"] for n in range(3)]
            assert consumer.follow(admin) == "at the end"
            after = checkpoint(admin, consumer.position, folder / "kept after")
            typed(chancery, "subject-keys", "backup", newest)
    ahead, known = consumer.position, list(consumer.seen)
    manifest = json.loads((folder / "backup/manifest.json").read_text())
    assert manifest["position"] < ahead

    shutil.rmtree(folder / "data")  # the disaster
    began = time.monotonic()
    with whole.servers_only(folder) as alone:
        said = typed(alone, "backup", "restore", backup, "--keys", keys, "--checkpoint", str(before))
        assert f"{manifest['position']} events and {manifest['objects']} objects came back" in said
        refused = typed(alone, "epoch", "status", "--checkpoint", str(after), code=1)
        assert f"the kept checkpoint ends at {size_of(after)}, the store at {manifest['position']}" in refused
        kept = ("--checkpoint", str(after), "--reason", "the disk is gone", "--yes")
        assert "lost: the kept checkpoint ends at" in typed(alone, "epoch", "begin", *kept)
        applied = typed(alone, "subject-keys", "restore", newest)
        assert f"The log calls user {office.erased_later} erased again." in applied
    with whole.up(folder, CHANCERY_ADMIN_PASSWORD="") as chancery:
        seconds = time.monotonic() - began
        with signed_in(chancery, password) as admin:
            came_back(admin, office)
            assert admin.get(f"/organisations/{lost[0]}").status_code == 404
            found_out(admin, office, consumer, ahead)
            follows_again(admin, known, manifest["position"])
            checkpoint(admin, manifest["position"] + 2, folder / "kept since")
        kept = ("--checkpoint", str(folder / "kept since"))
        assert "under the signed root" in typed(chancery, "audit", "verify", "--live", *kept)
        typed(chancery, "guards", "verify")
        typed(chancery, "projections", "verify")
        typed(chancery, "projections", "verify", "--deep", "user", "contract", "file")
        told = typed(chancery, "epoch", "status", "--checkpoint", str(before))
        assert f"kept checkpoint: {size_of(before)} events, as in the store" in told
    with capsys.disabled():
        of = f"{manifest['position']} events and {manifest['objects']} objects"
        sys.stdout.write(f"\nrestore drill: {of} are served again {seconds:.1f} s after the disk was gone\n")


@contextmanager
def signed_in(chancery, password):
    with chancery.client(patient=True) as client:
        told = client.post("/auth/login", json={"login": whole.ADMIN, "password": password})
        client.headers["Authorization"] = f"Bearer {told.raise_for_status().json()['access_token']}"
        yield client


def checkpoint(admin, position, file: Path) -> Path:
    """The one an auditor keeps, over at least so much."""

    def kept() -> bool:
        answer = admin.get("/audit/checkpoint")
        file.write_text(answer.text)
        return answer.status_code == 200 and size_of(file) >= position

    assert wait_until(kept, whole.END)
    return file


def size_of(note: Path) -> int:
    return int(note.read_text().splitlines()[1])


def typed(chancery, *words, code=0) -> str:
    """A command in another terminal, without the start of a process."""
    done = CliRunner(env=dict.fromkeys(SET)).invoke(commands, [*words, "--data-dir", str(chancery.data_dir)])
    assert done.exit_code == code, (done.output, done.exception)
    return " ".join(done.output.split())


def came_back(admin, office) -> None:
    """Records as they were; people who were forgotten at any time are so."""
    contract = admin.get(f"/contracts/{office.contract}").raise_for_status().json()
    assert contract["status"] == "signed", contract
    assert admin.get(f"/files/{office.file}/content").content == PDF
    assert admin.get(f"/letters/{office.letter['number']}").json()["id"] == office.letter["id"]
    assert admin.get(f"/users/{office.kept}").json()["first_name"] == "Ann"
    for who in (office.erased, office.erased_later):
        assert admin.get(f"/users/{who}").json()["first_name"] is None
    assert not re.search("Early|Late", admin.get("/users", params={"page_size": 100}).text)


def found_out(admin, office, consumer, ahead) -> None:
    """Positions are given anew, and who was ahead is not taken in by them."""
    seen = list(consumer.seen)
    assert consumer.follow(admin) == "another history"
    while True:
        answer = admin.post("/organisations", json={"full_name": uuid4().hex})
        assert answer.status_code == 201, answer.text
        if int(answer.headers["x-event-position"]) > ahead + 2:
            break
    assert consumer.follow(admin) == "another history", "though there is an event at his position again"
    assert consumer.seen == seen


def follows_again(admin, known, restored) -> None:
    """From the beginning, or from the last event that both histories have; the entry after it says what was lost."""
    anew = Follower()
    assert anew.follow(admin) == "at the end"
    assert anew.seen[:restored] == known[:restored]
    assert not set(anew.seen[restored:]) & set(known)
    (begun,) = [e for e in events(admin, restored) if e["topic"] == "epoch.begun.v1"]
    assert begun["position"] == restored + 1
    assert (begun["data"]["position"], begun["data"]["reason"]) == (restored, "the disk is gone")
    assert {each["place"] for each in begun["data"]["lost"]} == {"backup", "kept checkpoint"}


def events(admin, after):
    return admin.get("/events", params={"after": after, "limit": 1000}).raise_for_status().json()["data"]
