"""Subject keys apart from the log: whoever was forgotten stays so, whichever older state of either is brought back."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import psycopg
import pytest
from psycopg import sql

from application.ports import Attempt
from domain.document.events import DocumentRecorded
from domain.file.events import FileUploaded
from domain.imports.events import ImportStarted
from domain.message.events import MessageSent
from domain.shared import Actor, Metadata
from infrastructure import subject_keys
from infrastructure.embedded import postgres
from infrastructure.event_log import EventLog
from infrastructure.event_store import new_id
from infrastructure.guard_check import verify
from infrastructure.personal_data import Vault, Wrapping, wrapping_of
from infrastructure.postgres import PROJECTOR, connect
from infrastructure.subject_key_file import KeysRefused
from projections.projection import Fold, discover
from tests import office as offices
from tests import people, servers
from tests.store import WRAPPING, open_store
from workers.new_epoch import begin
from workers.rebuild import compare

pytestmark = pytest.mark.anyio
ASKED = {"reason": "asked for it"}


@pytest.fixture
async def store(dsn):
    async with open_store(dsn) as (opened, _):
        yield opened


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "keys.ndjson"


def keys(owner_dsn) -> dict[UUID, bool]:
    """Whose there are, and whether they open anything."""
    with psycopg.connect(owner_dsn) as connection:
        return dict(connection.execute("select subject_id, wrapped is not null from subject_keys").fetchall())


def execute(owner_dsn, *statements):
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        return [connection.execute(statement).rowcount for statement in statements]


DESTROY = "update subject_keys set wrapped = null, destroyed_at = clock_timestamp() where subject_id = '{}'"


# --- the file ------------------------------------------------------------------------------------------------------


async def test_a_backup_holds_every_key_wrapped_and_is_its_owners_alone(store, dsn, owner_dsn, file):
    ada, bob = await people.registered(store), await people.registered(store)
    execute(owner_dsn, DESTROY.format(bob))
    kept = await subject_keys.backup(dsn, WRAPPING, file)
    assert (kept.position, kept.keys, kept.destroyed) == (2, 2, 1)
    assert file.stat().st_mode & 0o777 == 0o600
    head, *lines, tail = map(msgspec.json.decode, file.read_bytes().splitlines())
    assert (head["format"], head["position"], tail["keys"]) == ("chancery-subject-keys/1", 2, 2)
    found = {line["subject"]: line.get("wrapped") for line in lines}
    assert found.keys() == {str(ada), str(bob)}
    assert found[str(bob)] is None
    opened = (await Vault(store._vault._pool, WRAPPING).read([ada]))[ada]
    assert opened.key not in file.read_bytes()


async def test_a_newer_backup_takes_the_place_of_the_older_at_once(store, dsn, file):
    await people.registered(store)
    first = await subject_keys.backup(dsn, WRAPPING, file)
    await people.registered(store)
    second = await subject_keys.backup(dsn, WRAPPING, file)
    assert (first.keys, second.keys) == (1, 2)
    assert [each.name for each in file.parent.iterdir()] == [file.name]


async def test_keys_that_were_lost_come_back_and_those_that_are_there_stay(store, dsn, owner_dsn, file):
    ada = await people.registered(store)
    await subject_keys.backup(dsn, WRAPPING, file)
    bob = await people.registered(store)
    execute(owner_dsn, f"delete from subject_keys where subject_id = '{ada}'")
    done = await subject_keys.restore(owner_dsn, WRAPPING, file)
    assert (done.added, done.destroyed) == (1, 0)
    assert keys(owner_dsn) == {ada: True, bob: True}
    again = await subject_keys.restore(owner_dsn, WRAPPING, file)
    assert (again.added, again.destroyed, again.to_build) == (0, 0, ())


async def test_a_key_destroyed_on_either_side_stays_destroyed(store, dsn, owner_dsn, file):
    ada, bob = await people.registered(store), await people.registered(store)
    execute(owner_dsn, "create table older as select * from subject_keys", DESTROY.format(ada))
    await subject_keys.backup(dsn, WRAPPING, file)
    execute(owner_dsn, "delete from subject_keys", "insert into subject_keys select * from older")
    execute(owner_dsn, DESTROY.format(bob))
    assert keys(owner_dsn) == {ada: True, bob: False}
    done = await subject_keys.restore(owner_dsn, WRAPPING, file)
    assert (done.added, done.destroyed) == (0, 1)
    assert keys(owner_dsn) == {ada: False, bob: False}


@pytest.mark.parametrize(
    "damage",
    [
        lambda whole: whole[:-20],
        lambda whole: whole.replace(b'"position":2', b'"position":3'),
        lambda whole: b"\n".join(line for line in whole.split(b"\n") if b"destroyed_at" not in line),
        lambda whole: whole[: whole.rindex(b'{"keys"')],
        lambda whole: whole.replace(b"chancery-subject-keys/1", b"chancery-subject-keys/2"),
        lambda _: b"",
        lambda _: b"\x00\xff\n{}\n",
        lambda _: b"[" * 100_000,
    ],
    ids=[
        "cut",
        "edited",
        "an erasure left out",
        "without its end",
        "of another kind",
        "empty",
        "no JSON",
        "deep",
    ],
)
async def test_a_file_that_is_not_whole_changes_nothing(store, dsn, owner_dsn, file, damage):
    ada, bob = await people.registered(store), await people.registered(store)
    execute(owner_dsn, DESTROY.format(bob))
    await subject_keys.backup(dsn, WRAPPING, file)
    file.write_bytes(damage(file.read_bytes()))
    execute(owner_dsn, f"delete from subject_keys where subject_id = '{ada}'")
    with pytest.raises(KeysRefused):
        await subject_keys.restore(owner_dsn, WRAPPING, file)
    with pytest.raises(KeysRefused):
        await subject_keys.backup(dsn, WRAPPING, file)
    assert keys(owner_dsn) == {bob: False}


async def test_a_file_of_another_key_or_of_another_log_or_none_is_refused(
    store, dsn, owner_dsn, file, cluster
):
    await people.registered(store)
    await subject_keys.backup(dsn, WRAPPING, file)
    with pytest.raises(KeysRefused, match="another key-encryption key"):
        await subject_keys.restore(owner_dsn, Wrapping(b"k" * 32), file)
    with pytest.raises(KeysRefused, match="no whole backup"):
        await subject_keys.restore(owner_dsn, WRAPPING, file.with_name("nowhere"))
    with servers.database(cluster) as other:
        async with open_store(other.app) as (elsewhere, _):
            await people.registered(elsewhere)
        with pytest.raises(KeysRefused, match="another log"):
            await subject_keys.restore(other.owner, WRAPPING, file)
        with pytest.raises(KeysRefused, match="another log"):
            await subject_keys.backup(other.app, WRAPPING, file)


async def test_a_backup_of_a_database_that_was_set_back_does_not_hide_an_erasure(store, dsn, owner_dsn, file):
    ada = await people.registered(store)
    execute(owner_dsn, "create table older as select * from subject_keys", DESTROY.format(ada))
    await subject_keys.backup(dsn, WRAPPING, file)
    execute(owner_dsn, "delete from subject_keys", "insert into subject_keys select * from older")
    before = file.read_bytes()
    with pytest.raises(KeysRefused, match="knows more"):
        await subject_keys.backup(dsn, WRAPPING, file)
    assert file.read_bytes() == before
    await subject_keys.restore(owner_dsn, WRAPPING, file)
    assert (await subject_keys.backup(dsn, WRAPPING, file)).destroyed == 1


async def test_nothing_is_restored_while_somebody_builds_read_models(store, dsn, owner_dsn, file):
    await people.registered(store)
    await subject_keys.backup(dsn, WRAPPING, file)
    async with await connect(dsn) as worker:
        await worker.execute("select pg_advisory_lock(%s, hashtext('user'))", (PROJECTOR,))
        with pytest.raises(KeysRefused, match="at work"):
            await subject_keys.restore(owner_dsn, WRAPPING, file)


async def test_what_was_read_of_their_files_goes_too_but_not_of_those_the_house_has(
    store, dsn, owner_dsn, file
):
    ada, bob = await people.registered(store), await people.registered(store)
    loose, bound, others, sent = [await uploaded(store, owner) for owner in (ada, ada, bob, ada)]
    document = uuid4()
    paper = {"date_approved": date(2026, 5, 3), "organisation_id": uuid4(), "type_id": uuid4(), "prefix": "P"}
    await people.append(store, document, DocumentRecorded(**paper, number=1, bound=(bound,)))
    message = MessageSent(
        dialog_id=uuid4(), sender_id=ada, recipient_id=bob, text="hello", attachments=(sent,)
    )
    await people.append(store, new_id(), message)
    started = {each: new_id() for each in (ada, bob)}
    for who, import_id in started.items():
        event = ImportStarted(kind="egrul", mode="both", name="x", size=1, sha256="0", object_id=import_id)
        await store.append(
            Attempt(
                stream_id=import_id,
                expected=0,
                events=(event,),
                metadata=Metadata(actor=Actor(kind="user", id=who), request_id="test"),
            )
        )
    execute(
        owner_dsn,
        *(f"insert into file_texts values ('{each}', 'words')" for each in (loose, bound, others, sent)),
        *(
            f"insert into import_progress (import_id, step) values ('{each}', 'reading')"
            for each in started.values()
        ),
        DESTROY.format(ada),
    )
    await subject_keys.backup(dsn, WRAPPING, file)
    await subject_keys.restore(owner_dsn, WRAPPING, file)
    with psycopg.connect(owner_dsn) as connection:
        texts = {each for (each,) in connection.execute("select file_id from file_texts")}
        imports = [each for (each,) in connection.execute("select import_id from import_progress")]
    assert texts == {bound, others}
    assert imports == [started[bob]]


async def uploaded(store, owner: UUID) -> UUID:
    file_id = new_id()
    about = {"purpose": "attachment", "size": 5, "content_type": "text/plain", "sha256": "0" * 64}
    await people.append(
        store, file_id, FileUploaded(owner_id=owner, name="words.txt", object_id=file_id, **about)
    )
    return file_id


# --- the drill -----------------------------------------------------------------------------------------------------


@pytest.fixture
async def office(cluster, nats_server):
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url) as opened:
            yield opened


def run(tool: str, url: str, *words: str, said: bytes = b"") -> bytes:
    """A program of PostgreSQL's own, on the database of this URL."""
    command = [str(postgres.binary().with_name(tool)), f"--dbname={url}", *words]
    return subprocess.run(command, input=said, capture_output=True, check=True).stdout


@contextmanager
def restored(cluster: servers.Addresses, dumped: bytes) -> Iterator[servers.Addresses]:
    """A dump as a database of its own, with its owners and rights."""
    name = f"restored_{uuid4().hex}"
    with psycopg.connect(cluster.admin, autocommit=True) as admin:
        admin.execute(sql.SQL("create database {} template template0").format(sql.Identifier(name)))
        try:
            addresses = servers.Addresses(*(servers.at(url, name) for url in cluster))
            run("pg_restore", addresses.admin, "--exit-on-error", said=dumped)
            yield addresses
        finally:
            admin.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


async def places(url: str, word: str) -> set[str]:
    """Tables in which the word stands, as it is or in bytes."""
    found = set()
    async with await connect(url, options="") as connection:
        tables = await connection.execute(
            "select format('%I.%I', schemaname, tablename) from pg_tables"
            " where schemaname not in ('pg_catalog', 'information_schema')"
        )
        for (name,) in await tables.fetchall():
            query = f"select from {name} t where t::text like any(%s) limit 1"
            if (await connection.execute(query, ([f"%{word}%", f"%{word.encode().hex()}%"],))).rowcount:
                found.add(name)
    return found


async def leaves_of(office, position: int) -> list[str]:
    """What the audit log's tree is made of, up to this position."""
    found = (
        await office.admin.get("/audit/entries", params={"page_size": 100, "filter": f"position<={position}"})
    ).json()
    return [each["leaf_hash"] for each in found["data"]]


async def test_a_backup_from_before_an_erasure_does_not_bring_the_person_back(
    office, cluster, nats_server, file
):
    word = uuid4().hex
    organisation = await office.organisation()
    zoe = await office.user(role="admin", first_name=f"Zoe{word}", phone="+33142685300")
    body = {"last_name": f"Casey{word}", "email": f"{word}@example.org"}
    contact = (await office.admin.post(f"{organisation}/contacts", json=body)).json()["id"]
    bert = await office.user(first_name="Bert")
    dialog = (await zoe.client.post("/dialogs", json={"user_id": str(bert.id)})).json()["id"]
    (await zoe.client.post(f"/dialogs/{dialog}/messages", json={"text": f"I am {word}"})).raise_for_status()
    hold = {"subject": {"type": "user", "id": str(zoe.id)}, "reason": "case 12"}
    held = (await office.admin.post("/legal-holds", json=hold)).json()["id"]
    leaves = await leaves_of(office, await office.head())
    assert leaves
    position = await office.head()
    dumped = run("pg_dump", office.addresses.admin, "--format=custom", "--compress=0")

    (await office.admin.post(f"/legal-holds/{held}/release")).raise_for_status()
    for noun, person in (("user", zoe.id), ("contact", contact)):
        (await office.admin.post(f"/{noun}s/{person}/erase", json=ASKED)).raise_for_status()
    settings = office.system.settings
    await subject_keys.backup(settings.database_url, wrapping_of(settings), file)

    with restored(cluster, dumped) as again:
        assert 'read."user"' in await places(again.admin, word)
        with pytest.raises(KeysRefused, match="epoch begin"):
            await subject_keys.restore(again.owner, wrapping_of(settings), file)
        await begin(again.owner, wrapping_of(settings), [], "a drill", force=True)
        done = await subject_keys.restore(again.owner, wrapping_of(settings), file)
        assert done.destroyed == 2
        assert await places(again.admin, word) == set(), "from this moment on, whoever serves it"
        async with offices.opened(again, nats_server.url) as later:
            system = later.system
            async with system.pool.connection() as connection:
                found = await subject_keys.unrecorded(connection)
            assert sorted(found) == sorted([(zoe.id, "user"), (UUID(contact), "contact")])
            for person, noun in found:
                await system.erasures.again(noun, person)
            assert (await later.admin.get(f"/users/{zoe.id}")).json()["state"] == "erased"
            assert (await later.admin.get(f"/contacts/{contact}")).json()["state"] == "erased"
            assert (await later.admin.get(f"/users/{bert.id}")).json()["first_name"] == "Bert"
            then = (await later.admin.get(f"/users/{zoe.id}", params={"as_of": str(position)})).json()
            assert (then["state"], then["first_name"], then["phone"]) == ("active", None, None)
            wrong = await later.stranger.post(
                "/auth/login", json={"login": zoe.email, "password": offices.PASSWORD}
            )
            assert wrong.status_code == 401
            assert await places(again.admin, word) == set()
            assert await leaves_of(later, position) == leaves, "what was proved is proved"
            assert await verify(again.owner, system.wrapping) == []
            log = EventLog(system.pool, system.codec, Vault(system.pool, system.wrapping))
            for projection in discover().values():
                if isinstance(projection, Fold):
                    assert (await compare(system.url, log, projection)).comparison.equal, projection.name
            async with system.pool.connection() as connection:
                assert await subject_keys.unrecorded(connection) == []
