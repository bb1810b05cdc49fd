"""`chancery projections` as an operator types it, on a database where one department cannot be shown."""

import asyncio
import json
import os
from base64 import b64encode
from contextlib import ExitStack
from uuid import UUID

import psycopg
import pytest
from click.testing import CliRunner

from cli.main import chancery
from domain.department.events import DepartmentAdded, DepartmentChanged
from infrastructure.event_codec import EventCodec
from projections.department import DEPARTMENTS
from tests.flow import META, workers
from tests.poison import WHY, refusing
from workers import checkpoint
from workers.places import REBUILD

GOOD, BAD = UUID(int=1), UUID(int=2)


@pytest.fixture
def run(dsn, tmp_path, monkeypatch):
    """Types a `projections` command; what it said stands in `output`, what went wrong in it, too."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CHANCERY_DATABASE_URL", dsn)
    monkeypatch.setenv("CHANCERY_KEY_ENCRYPTION_KEY", b64encode(bytes(32)).decode())
    return lambda *arguments: CliRunner().invoke(chancery, ["projections", *arguments])


def told(dsn, stream, version, event) -> None:
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "select append_as_given(array[%s]::uuid[], array[%s]::bigint[], array[%s], array[%s]::bytea[], %s)",
            (stream, version, event.TOPIC, EventCodec().encode(event, stream, version, {}), META),
        )


@pytest.fixture
def work(dsn, nats_server):
    """Lets a worker do what it can: to the head, or to where it stands still."""

    async def until_it_rests():
        nats_server.wipe()
        async with workers(dsn, nats_server) as flow:
            flow.projector(DEPARTMENTS, pause=0.05)

            async def rests() -> bool:
                at = await checkpoint.load(flow.connection, "department", "read")
                return at is not None and (at.failed_event is not None or await flow.caught_up("department"))

            await flow.until(rests, 60)

    return lambda: asyncio.run(until_it_rests())


@pytest.fixture
def stack():
    with ExitStack() as opened:
        yield opened


@pytest.fixture
def stopped(dsn, work, stack):
    """Two departments, then one that cannot be changed, until the stack is closed."""
    told(dsn, GOOD, 1, DepartmentAdded(name="Good"))
    told(dsn, BAD, 1, DepartmentAdded(name="Bad"))
    work()
    poison = refusing(stack.enter_context(psycopg.connect(dsn, autocommit=True)), "department", BAD)
    stack.enter_context(poison)
    told(dsn, BAD, 2, DepartmentChanged(name="Worse"))
    told(dsn, GOOD, 2, DepartmentChanged(name="Better"))
    told(dsn, BAD, 3, DepartmentChanged(name="Worst"))
    work()


def flat(result) -> str:
    """What it said, without the frame and the line ends of a terminal."""
    return " ".join(result.output.replace("│", " ").split())


def said(result):
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def shown(dsn) -> dict[UUID, str]:
    with psycopg.connect(dsn) as connection:
        rows = connection.execute("select id, view from read.department").fetchall()
        return {key: json.loads(view)["name"] for key, view in rows}


def test_from_poison_to_whole_by_unpark(run, dsn, work, stopped, stack):
    row = said(run("status", "--json"))["department"]
    assert (row["position"], row["lag"], row["parked"], row["kept_version"]) == (2, 3, [], None)
    assert WHY in row["failure"]
    parked = said(run("park", "department", "--json"))
    assert (parked["name"], parked["stream_id"], parked["position"]) == ("department", str(BAD), 3)
    work()
    assert shown(dsn) == {GOOD: "Better", BAD: "Bad"}
    row = said(run("status", "--json"))["department"]
    assert (row["lag"], row["failure"], row["parked"][0]["waiting"]) == (0, None, 2)
    for_people = run("status").output
    assert f"department: 2 events of stream {BAD} wait" in for_people
    verified = run("verify", "department")
    assert (verified.exit_code, "NOT" in verified.output) == (3, False)
    assert "of them 2 wait in 1 parked stream(s)" in verified.output
    deep = run("verify", "department", "--deep", "--json")
    assert (deep.exit_code, json.loads(deep.stdout)["department"]["right"]) == (3, True), "as far as it goes"
    again = run("unpark", "department")
    assert again.exit_code == 3
    assert f"stream {BAD} stays parked: event" in again.output
    assert "at position 3" in again.output
    stack.close()
    whole = run("unpark", "department", str(BAD))
    assert (whole.exit_code, whole.output) == (
        0,
        f"department: stream {BAD} is whole again, 2 event(s) were applied\n",
    )
    assert shown(dsn) == {GOOD: "Better", BAD: "Worst"}
    assert run("verify", "department", "--deep").exit_code == 0


def test_from_poison_to_whole_by_rebuild_and_back_again(run, dsn, work, stopped):
    run("park", "department")
    work()
    rebuilt = said(run("rebuild", "department", "--json"))["department"]
    assert (rebuilt["equal"], rebuilt["expected"], rebuilt["parked"]) == (False, True, 0)
    assert "expected: 1 stream(s) were parked in what was there" in rebuilt["told"]
    assert shown(dsn) == {GOOD: "Better", BAD: "Worst"}
    back = said(run("rollback", "department", "--json"))
    assert (back["position"], back["parked"], back["aside"]["position"]) == (5, 1, 5)
    assert shown(dsn) == {GOOD: "Better", BAD: "Bad"}
    assert "version 1 is in use again" in run("rollback", "department").output
    assert shown(dsn) == {GOOD: "Better", BAD: "Worst"}


def test_what_differs_for_no_known_reason_is_an_exit_code(run, dsn, work):
    told(dsn, GOOD, 1, DepartmentAdded(name="Good"))
    work()
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update read.department set name = 'forged'")
    deep = run("verify", "department", "--deep")
    assert deep.exit_code == 1
    assert "DIFFERENT" in deep.output
    result = run("rebuild", "department")
    assert result.exit_code == 4, "it was built and swapped, but somebody should find out why"
    assert "one of the two is wrong" in result.output
    assert "was not what the events give: department" in result.output
    assert shown(dsn) == {GOOD: "Good"}
    assert run("rebuild", "department").exit_code == 0


@pytest.mark.parametrize("sub", ["park", "unpark", "rollback", "rebuild", "verify"])
def test_a_name_that_is_none_is_said_with_those_there_are(run, sub):
    result = run(sub, "nothing")
    assert result.exit_code == 2
    assert "No projection nothing; there are" in flat(result)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("park", "department"), "department has not begun"),
        (("unpark", "department"), "nothing of department is parked"),
        (("rollback", "department"), "nothing of department is kept aside"),
        (("park", "audit_log"), "audit_log is never parked: an entry that is missing"),
        (("park", "ledger"), "ledger is never parked: balances would be wrong"),
        (("verify", "department"), "not right: department"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_1(run, arguments, why):
    result = run(*arguments)
    assert result.exit_code == 1
    assert why in flat(result)
    assert "Traceback" not in result.output


def test_nothing_is_parked_of_one_that_goes_on(run, dsn, work):
    told(dsn, GOOD, 1, DepartmentAdded(name="Good"))
    work()
    result = run("park", "department")
    assert (result.exit_code, "nothing to park: department is not stopped" in flat(result)) == (1, True)


def test_a_stream_is_named_by_its_id(run, stopped):
    assert run("unpark", "department", "Bad").exit_code == 2
    run("park", "department")
    result = run("unpark", "department", str(GOOD))
    assert (result.exit_code, f"not parked: {GOOD}" in flat(result)) == (1, True)


def test_a_rebuild_that_meets_a_poison_says_which_and_changes_nothing(run, dsn, stopped):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(
            "select append_as_given(array[%s]::uuid[], array[3::bigint], array['department.never.heard.v1'],"
            " array['{}'::bytea], %s)",
            (GOOD, META),
        )
    result = run("rebuild", "department")
    assert result.exit_code == 1
    assert "department cannot apply event" in flat(result)
    assert "at position 6: UnknownTopic" in flat(result)
    assert shown(dsn) == {GOOD: "Good", BAD: "Bad"}


def test_while_another_has_it_the_answer_is_to_try_again(run, dsn):
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("select pg_advisory_lock(%s, hashtext('department'))", (REBUILD,))
        for arguments in (("rebuild", "department"), ("rollback", "department"), ("park", "department")):
            result = run(*arguments)
            assert (result.exit_code, "is being rebuilt or looked after already" in flat(result)) == (
                1,
                True,
            )


@pytest.mark.parametrize(
    "arguments",
    [
        ("status",),
        ("verify",),
        ("rebuild", "--all"),
        ("park", "department"),
        ("unpark", "department"),
        ("rollback", "department"),
    ],
    ids=lambda arguments: arguments[0],
)
def test_without_a_database_it_says_so(run, monkeypatch, arguments):
    monkeypatch.setenv("CHANCERY_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing?connect_timeout=2")
    away = run(*arguments)
    assert (away.exit_code, "The database does not do it" in flat(away)) == (1, True), away.output
    monkeypatch.delenv("CHANCERY_DATABASE_URL")
    none = run(*arguments)
    assert (none.exit_code, "There is no database" in flat(none)) == (1, True), none.output
