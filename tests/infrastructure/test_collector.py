"""What sends spans: it never waits, keeps so many at most, says once that nobody takes them, and ends in time."""

import threading

import pytest

from application.spans import Place, Span
from infrastructure import collector as senders
from infrastructure.collector import Collector
from infrastructure.settings import SettingsError, load
from tests import collector as collectors
from tests.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """However slow this machine is, what is taken in the end was not given up."""
    monkeypatch.setattr(senders, "PATIENCE", 60.0)


@pytest.fixture
def receiver():
    with collectors.opened() as made:
        yield made


def span(name="append", **fields) -> Span:
    return Span(name=name, trace_id=7, began=10, ended=20, **fields)


async def test_a_span_arrives_as_it_was(receiver):
    sender = Collector(receiver.url, "", "api")
    sender.take(
        span(parent_id=3, kind="client", attributes={"a": 1, "b": "x"}, links=[Place(8, 9)], failed=True)
    )
    await until(lambda: receiver.spans)
    sender.close()
    (found,) = receiver.spans
    assert (found.name, found.kind, found.status.code) == ("append", 3, 2)
    assert (found.trace_id, found.parent_span_id) == ((7).to_bytes(16), (3).to_bytes(8))
    assert (found.start_time_unix_nano, found.end_time_unix_nano) == (10, 20)
    assert collectors.said(found) == {"a": 1, "b": "x"}
    assert [(link.trace_id, link.span_id) for link in found.links] == [((8).to_bytes(16), (9).to_bytes(8))]


async def test_what_waits_when_a_process_ends_is_sent(receiver):
    sender = Collector(receiver.url, "", "api")
    for number in range(1_200):
        sender.take(span(str(number)))
    sender.close()
    assert {each.name for each in receiver.spans} == {str(number) for number in range(1_200)}


async def test_more_than_it_keeps_push_the_oldest_out_and_nobody_waits(receiver, monkeypatch):
    monkeypatch.setattr(Collector, "_run", lambda self: self._ending.wait())
    sender = Collector(receiver.url, "", "api")
    before = senders._ENDED.labels("dropped")._value.get()
    for number in range(senders.KEPT + 10):
        sender.take(span(str(number)))
    sender.close()
    assert senders._ENDED.labels("dropped")._value.get() - before == 10
    assert (sender._queue[0].name, len(sender._queue)) == ("10", senders.KEPT)


async def test_a_collector_that_never_answers_does_not_hold_the_end_up(monkeypatch):
    monkeypatch.setattr(senders, "PATIENCE", 0.2)
    entered, leave = threading.Event(), threading.Event()

    def silent(self, batch):
        entered.set()
        leave.wait()

    monkeypatch.setattr(Collector, "_send", silent)
    sender = Collector("http://127.0.0.1:9", "", "api")
    sender.take(span())
    await until(entered.is_set)
    sender.close()
    assert sender._thread.is_alive(), "it was left behind"
    leave.set()
    sender._thread.join()


async def test_that_it_is_away_and_back_is_said_once(receiver, monkeypatch):
    lines: list[str] = []

    class Log:
        def warning(self, line, **_):
            lines.append(line)

        info = warning

    monkeypatch.setattr(senders, "_log", Log())
    monkeypatch.setattr(senders, "EVERY", 0.05)
    sender = Collector(receiver.url, "", "api")
    receiver.status = 500
    for number in range(2):
        sender.take(span())
        await until(lambda number=number: len(receiver.heard) > number)
    receiver.status = 200
    sender.take(span("at last"))
    await until(lambda: any(each.name == "at last" for each in receiver.spans))
    sender.close()
    assert lines == ["collector.away", "collector.back"]


async def test_it_is_asked_at_the_usual_path_unless_another_is_named(receiver):
    for path in ("", "/", "/otlp/traces"):
        sender = Collector(receiver.url + path, "", "api")
        sender.take(span())
        sender.close()
    assert [path for path, _ in receiver.heard] == ["/v1/traces", "/v1/traces", "/otlp/traces"]


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("CHANCERY_TRACES_URL", "collector:4318"),
        ("CHANCERY_TRACES_URL", "grpc://collector:4317"),
        ("CHANCERY_TRACES_SHARE", "1.5"),
        ("CHANCERY_TRACES_SHARE", "-0.1"),
        ("CHANCERY_TRACES_SHARE", "all"),
        ("CHANCERY_TRACES_HEADERS", "Bearer secret"),
        ("CHANCERY_TRACES_HEADERS", "x-a=b\r\nx-c: d"),
    ],
)
async def test_a_setting_that_makes_no_sense_is_refused(setting, value):
    with pytest.raises(SettingsError) as refused:
        load(environ={setting: value})
    assert setting.removeprefix("CHANCERY_").lower() in str(refused.value)
    assert "secret" not in str(refused.value)
