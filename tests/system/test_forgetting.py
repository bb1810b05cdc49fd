"""After a person was forgotten nobody finds him, however he looks; and the log is as whole as before."""

import re
import sys
from base64 import b64encode
from pathlib import Path
from uuid import uuid4

import pytest

from infrastructure.embedded.children import Child, wait_until
from infrastructure.settings_sources import running_stack
from tests import servers, whole
from tests.system.test_secrets import tables

PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
SECONDS = 60
ASKED = {"reason": "asked for it"}


@pytest.fixture(scope="module")
def chancery():
    with whole.up(servers.place("forgetting")) as running:
        yield running


def test_nobody_finds_a_person_who_was_forgotten_and_the_log_is_whole(chancery, tmp_path):
    word = uuid4().hex
    with chancery.signed_in() as admin:
        user, contact = lived(chancery, admin, word)
        chancery.run("projections", "rebuild", "user", "session")
        found = places(chancery, word, tmp_path / "before.ndjson")
        assert {"public.stored_events"}.isdisjoint(found), "sealed from the first"
        assert {'read."user"', "read.contact", "read.message", "read.file", "read.session"} <= found
        assert {'read_prev."user"', "read_prev.session"} <= found, "kept aside by the rebuild"
        for files in ("/s3/objects/", "/pg_wal/"):
            assert any(files in name for name in found), "this is where one would find him"
        proofs = {position: proof(admin, position) for position in range(1, head(admin) + 1)}
        for noun, person in (("user", user), ("contact", contact)):
            admin.post(f"/{noun}s/{person}/erase", json=ASKED).raise_for_status()
        assert wait_until(lambda: over(chancery), SECONDS)
        written_anew(chancery)
        assert places(chancery, word, tmp_path / "after.ndjson") == set()
        assert {position: proof(admin, position) for position in proofs} == proofs
    told = chancery.run("audit", "verify", str(tmp_path / "after.ndjson"))
    assert re.search(r"\d+ entries", told), told
    chancery.run("guards", "verify")
    chancery.run("projections", "verify", "--deep")


def test_to_restore_a_backup_the_servers_start_alone_and_nobody_is_served():
    folder = servers.place("restored")
    folder.mkdir(mode=0o711)
    child, data_dir = Child("up", folder, log=folder / "up.log"), folder / "data"
    environ = whole.ENVIRONMENT | {"CHANCERY_DATA_DIR": str(data_dir)}
    child.start([sys.executable, "-m", "cli.main", "up", "--servers-only"], environ)
    try:
        child.wait_ready(lambda: bool(running_stack(data_dir).get("database_url")), whole.START)
        alone = whole.Chancery("", data_dir, folder / "up.log", child)
        alone.run("migrate")
        told = alone.run("subject-keys", "backup", str(folder / "keys"))
        assert told.startswith("0 keys as of position 0"), told
        assert [alone.pid(name) for name in ("serve", "work", "jobs")] == [0, 0, 0]
        assert alone.pid("postgres")
    finally:
        status = child.stop(whole.END)
    assert status == 0, (folder / "up.log").read_text()


def lived(chancery, admin, word) -> tuple[str, str]:
    """A user and a contact under that word, wherever people leave traces; the tables that show them have followed."""
    email = f"{word}@example.org"
    names = {"first_name": f"Zoe{word}", "last_name": f"Zimt{word}"}
    made = admin.post("/users", json={"email": email, **names}).raise_for_status().json()
    organisation = admin.post("/organisations", json={"full_name": "Alpha"}).raise_for_status().json()["id"]
    contact = admin.post(f"/organisations/{organisation}/contacts", json={"email": email, **names})
    with chancery.client() as client:
        client.headers["User-Agent"] = f"Browser {word}"
        login = {"login": email, "password": made["temporary_password"]}
        token = client.post("/auth/login", json=login).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        new = {"old": made["temporary_password"], "new": whole.PASSWORD}
        client.post("/me/password", json=new).raise_for_status()
        login["password"] = whole.PASSWORD
        token = client.post("/auth/login", json=login).raise_for_status().json()["access_token"]
        client.headers["Authorization"] = f"Bearer {token}"
        client.patch(
            "/me", json={"phone": "+33142685300"}, headers={"Idempotency-Key": word}
        ).raise_for_status()
        admin_id = admin.get("/me").json()["id"]
        dialog = client.post("/dialogs", json={"user_id": admin_id}).raise_for_status().json()["id"]
        file = {"file": (f"{word}.txt", f"I am {word}".encode(), "text/plain")}
        sent = client.post("/files", files=file, headers={"Idempotency-Key": f"f{word}"}).raise_for_status()
        message = {"text": f"I am {word}", "attachments": [sent.json()["id"]]}
        client.post(f"/dialogs/{dialog}/messages", json=message).raise_for_status()
        client.post("/exports", json={"list": "organisations", "format": "csv", "filter": f'name="{word}"'})
    for path in ("users", "contacts"):
        export = admin.post("/exports", json={"list": path, "format": "csv"}).raise_for_status()
        place = export.headers["location"].removeprefix("/api/v1")
        assert wait_until(lambda at=place: admin.get(at).json().get("state") == "completed", SECONDS)
        assert word in admin.get(f"{place}/content").text
    assert wait_until(lambda: word in admin.get(f"/dialogs/{dialog}/messages").text, SECONDS)
    assert wait_until(lambda: admin.get(f"/users/{made['id']}").json().get("phone"), SECONDS)
    return made["id"], contact.raise_for_status().json()["id"]


def head(admin) -> int:
    return int(admin.get("/audit/entries", params={"page_size": 1}).json()["data"][0]["position"])


def proof(admin, position) -> str:
    """The entry's leaf; and, that it is proved at all, its proof's last line."""
    assert wait_until(lambda: admin.get(f"/audit/entries/{position}/proof").status_code == 200, SECONDS)
    return admin.get(f"/audit/entries/{position}").json()["leaf_hash"]


def over(chancery) -> bool:
    with chancery.superuser() as database:
        done = database.execute(
            "select count(*) from operations where kind in ('user.forget', 'contact.forget') and state = 'done'"
        ).fetchone()[0]
        behind = database.execute(
            "select count(*) from projections where place = 'read' and position <"
            " (select max(notification_id) from stored_events where topic like '%.erased.v1')"
        ).fetchone()[0]
    return (done, behind) == (2, 0)


def written_anew(chancery) -> None:
    """What docs/how-to/forget-somebody.md tells an operator to do who will not wait."""
    with chancery.superuser() as database:
        database.execute("alter system set wal_recycle = off")
        database.execute("select pg_reload_conf()")
        database.execute("vacuum (full, analyze)")
        for _ in range(2):
            database.execute("select pg_switch_wal()")
            database.execute("checkpoint")


def places(chancery, word, exported: Path) -> set[str]:
    """Where the word stands, as it is, in hex or in base64: tables, every file, what was printed, an export."""
    chancery.run("audit", "export", str(exported))
    with chancery.superuser() as database:
        database_folder = Path(database.execute("show data_directory").fetchone()[0])
    contents = {"export": exported.read_bytes(), "log": chancery.log.read_bytes()}
    contents |= {name: text.encode() for name, text in tables(chancery)}
    for folder in (chancery.data_dir, database_folder):
        for path in folder.rglob("*"):
            if path.is_file():
                contents[str(path)] = path.read_bytes()
    forms = [word.encode(), word.encode().hex().encode(), *in_base64(word.encode())]
    return {name for name, content in contents.items() if any(form in content for form in forms)}


def in_base64(text: bytes) -> list[bytes]:
    """However many bytes stand before it."""
    return [b64encode(b"." * shift + text)[4:-4] for shift in range(3)]
