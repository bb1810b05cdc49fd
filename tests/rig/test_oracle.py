"""The oracle notices each kind of lie: a log that is right passes, and one forged thing in it does not."""

import msgspec
import pytest

from tests.rig import oracle
from tests.rig.driver import Answered, Intent, Ledger
from tests.rig.oracle import Event, Job


def event(position, stream="a", version=1, request="", topic="organisation.added.v1", **data):
    return Event(
        position=position,
        stream=stream,
        version=version,
        topic=topic,
        data=data,
        request=request or f"key-{position}",
        follows=False,
    )


@pytest.fixture
def log():
    """Five commands, each answered."""
    return [event(position, stream=f"stream-{position}") for position in range(1, 6)]


@pytest.fixture
def ledger(tmp_path, log):
    made = Ledger(tmp_path / "ledger.ndjson")
    for each in log:
        intent = Intent(key=each.request, what="organisation", path="/organisations")
        made.asks(intent)
        made.hears(intent, 201, {"position": each.position})
    yield made
    made.close()


def job(state, kind="mail.send", error=None):
    return Job(id="one", kind=kind, state=state, attempt=1, error=error)


def wrong(log, ledger):
    found = [*oracle.lost(log, ledger), *oracle.doubled(log, ledger)]
    return [*found, *oracle.dense(log), *oracle.numbered_without_gaps(log), *oracle.exports_once(log)]


def test_a_log_that_is_right_passes(log, ledger):
    assert wrong(log, ledger) == []


def test_an_answered_command_that_is_missing_is_lost(log, ledger):
    assert wrong(log[:4], ledger) == ["I1: key-5 was answered 5, the log has it at None"]


def test_an_answer_that_names_another_position_is_noticed(log, ledger):
    intent = ledger.asked["key-3"]
    ledger.answered["key-3"] = Answered(intent=intent, status=201, said={"position": 4})
    assert wrong(log, ledger) == ["I1: key-3 was answered 4, the log has it at 3"]


@pytest.mark.parametrize("stream", ["stream-5", "another"])
def test_an_intent_that_is_there_twice_is_doubled(log, ledger, stream):
    """In a stream of its own or in the same one, and also when its client gave up."""
    version = 2 if stream == "stream-5" else 1
    del ledger.answered["key-5"]
    twice = [*log, event(6, stream=stream, version=version, request="key-5")]
    assert [each[:30] for each in wrong(twice, ledger)] == ["I1: key-5 is in the log more t"]


def test_a_hole_in_the_positions_is_noticed(log, ledger):
    moved = [*log, event(7, stream="stream-7")]
    assert wrong(moved, ledger) == ["I2: position 7 stands where 6 should"]


def test_a_hole_in_the_versions_is_noticed(log, ledger):
    skipped = [*log, event(6, stream="stream-5", version=3)]
    assert wrong(skipped, ledger) == ["I2: stream-5 has version 3 at 6, not 2"]


def test_two_letters_of_one_number_are_noticed(log, ledger):
    topic = "letter.registered.v1"
    letters = [event(n, stream=f"letter-{n}", topic=topic, number="2026-1") for n in (6, 7)]
    assert wrong([*log, *letters], ledger) == ["numbers of letters have gaps or doubles: [1, 1]"]


def test_an_export_that_was_made_twice_or_never_is_noticed(log, ledger):
    asked = event(6, stream="export", topic="export.requested.v1")
    made = [event(n, stream="export", version=n - 5, topic="export.completed.v1") for n in (7, 8)]
    assert wrong([*log, asked], ledger) == ["I6: export export was made 0 times"]
    assert wrong([*log, asked, made[0]], ledger) == []
    assert wrong([*log, asked, *made], ledger) == ["I6: export export was made 2 times"]


def test_a_mail_arrives_once_and_one_in_doubt_once_at_most():
    doubt = job("failed", error="InDoubt: it was handed over, and then: silence")
    assert list(oracle.mailed_once([job("done")], ["<one@example.org>"])) == []
    assert list(oracle.mailed_once([doubt], ["<one@example.org>"])) == []
    assert list(oracle.mailed_once([doubt], [])) == []


@pytest.mark.parametrize(
    ("jobs", "received"),
    [
        ([job("done")], []),
        ([job("done")], ["<one@example.org>"] * 2),
        ([job("failed", error="InDoubt: silence")], ["<one@example.org>"] * 2),
        ([job("failed", error="Refused: 554")], []),
        ([job("failed", kind="file.read_text")], []),
        ([], ["<one@example.org>"]),
    ],
    ids=["never", "twice", "twice, in doubt", "given up without a doubt", "another job given up", "unasked"],
)
def test_a_mail_that_is_lost_doubled_or_nobodys_is_noticed(jobs, received):
    assert len(list(oracle.mailed_once(jobs, received))) == 1


def test_the_ledger_is_on_disk_before_anything_is_done_about_it(ledger, tmp_path):
    intent = Intent(key="another", what="organisation", path="/organisations")
    ledger.asks(intent)
    last = (tmp_path / "ledger.ndjson").read_bytes().splitlines()[-1]
    assert msgspec.json.decode(last) == {"asked": "another", "what": "organisation", "path": "/organisations"}
