"""The log sink: lines go out in order and without anybody waiting, whatever the collector does."""

import time

import pytest

from infrastructure import log_sink
from infrastructure.log_sink import Sink
from infrastructure.settings import Settings, SettingsError, load
from tests.collecting_lines import TOKEN, Collector, collecting
from tests.waiting import until

pytestmark = pytest.mark.anyio


@pytest.fixture
def collector():
    with collecting() as made:
        yield made


def aimed(collector: Collector, **changed: object) -> Sink:
    return Sink(collector.url, TOKEN, process="tests", **{"first_pause": 0.01, **changed})


def line(number: int, **more: object) -> dict[str, object]:
    return {"event": f"line {number}", "level": "warning", "timestamp": "2026-01-01T00:00:00Z", **more}


def say(sink: Sink, first: int, last: int) -> None:
    for number in range(first, last + 1):
        sink.take(line(number))


def told(first: int, last: int) -> list[str]:
    return [f"line {number}" for number in range(first, last + 1)]


async def test_lines_go_out_in_order_in_batches_with_the_token(collector):
    sink = aimed(collector)
    say(sink, 1, 500)
    await until(lambda: collector.messages == told(1, 500))
    assert len(collector.batches) < 500
    assert collector.tokens == {f"Bearer {TOKEN}"}
    assert collector.lines[0] == {
        "dt": "2026-01-01T00:00:00Z",
        "message": "line 1",
        "level": "warning",
        "process": "tests",
    }
    assert sink.trouble is None


async def test_while_it_is_down_lines_are_kept_and_come_in_order_once_it_is_back(collector):
    collector.stop()
    sink = aimed(collector)
    say(sink, 1, 30)
    await until(lambda: sink.trouble is not None)
    assert sink.trouble == "does not answer: ConnectError"
    say(sink, 31, 60)
    collector.start()
    await until(lambda: collector.messages == told(1, 60))
    await until(lambda: sink.trouble is None)


@pytest.mark.parametrize("status", [500, 503, 429, 404, 302])
async def test_what_it_refuses_for_now_is_sent_again(collector, status):
    collector.statuses = [status] * 3
    sink = aimed(collector)
    say(sink, 1, 5)
    await until(lambda: collector.messages == told(1, 5))
    assert collector.asked >= 4


async def test_a_wrong_token_is_said_without_showing_it_and_nothing_is_lost(collector, capfd):
    collector.statuses = [401, 403]
    sink = aimed(collector, first_pause=0.2)
    say(sink, 1, 3)
    await until(lambda: sink.trouble == "refuses our token (401)")
    await until(lambda: collector.messages == told(1, 3))
    assert TOKEN not in "".join(capfd.readouterr())


async def test_nobody_waits_for_a_slow_one(collector):
    collector.held.clear()
    sink = aimed(collector, timeout=30)
    say(sink, 1, 1)
    await until(lambda: collector.asked == 1)
    since = time.perf_counter()
    say(sink, 2, 1001)
    assert time.perf_counter() - since < 10, "a thousand lines cost some hundredths of a second"
    assert collector.lines == []
    collector.held.set()
    await until(lambda: collector.messages == told(1, 1001))


async def test_past_the_bound_the_oldest_go_and_their_number_is_told(collector):
    collector.stop()
    sink = aimed(collector, kept=10)
    say(sink, 1, 1)
    await until(lambda: sink.trouble is not None)
    say(sink, 2, 25)
    collector.start()
    await until(lambda: "line 25" in collector.messages)
    kept = [message for message in collector.messages if message.startswith("line")]
    assert kept == ["line 1", *told(17, 25)], "what was under way, and the newest"
    lost = [each["lost"] for each in collector.lines if each["message"] == "log lines were lost"]
    assert lost == [15]


async def test_a_batch_too_large_goes_in_smaller_ones(collector):
    collector.largest = 7
    sink = aimed(collector)
    say(sink, 1, 100)
    await until(lambda: collector.messages == told(1, 100))


async def test_a_line_that_is_never_taken_holds_nobody_up(collector):
    collector.poison = "line 50"
    sink = aimed(collector)
    say(sink, 1, 100)
    await until(lambda: "line 100" in collector.messages)
    assert collector.messages == [*told(1, 49), *told(51, 100)]


async def test_at_the_end_what_waits_goes_out_at_once_and_a_collector_that_is_away_is_not_waited_for(
    collector,
):
    sink = aimed(collector)
    say(sink, 1, 3)
    assert sink.flush(30)
    assert collector.messages == told(1, 3)
    collector.stop()
    away = aimed(collector, first_pause=3600)
    say(away, 4, 4)
    await until(lambda: away.trouble is not None)
    since = time.perf_counter()
    assert not away.flush(3600)
    assert time.perf_counter() - since < 300, "one more try, not an hour"


async def test_a_field_without_bounds_is_cut(collector):
    sink = aimed(collector)
    sink.take(line(1, exception="x" * 100_000))
    await until(lambda: collector.lines)
    assert len(collector.lines[0]["exception"]) == log_sink.LONGEST


def test_it_takes_warnings_and_worse_and_facts_or_as_the_setting_says():
    sink = Sink("https://logs.example.org", TOKEN)
    assert [level for level in log_sink.LEVELS if sink.wants({"level": level})] == [
        "warning",
        "error",
        "critical",
    ]
    assert sink.wants({"level": "info", "event": "fact"})
    assert Sink("https://logs.example.org", TOKEN, level="info").wants({"level": "info"})


def test_without_a_setting_there_is_none_and_a_line_stays_as_it_is():
    log_sink.aim(Settings(), "tests")
    assert log_sink.present() is None
    assert log_sink.offer(None, "error", {"event": "x", "level": "error"}) == {"event": "x", "level": "error"}


@pytest.mark.parametrize(
    "url", ["http://logs.example.org", "ftp://x", "logs", "https://a:b@logs.example.org"]
)
def test_lines_leave_this_machine_encrypted_or_not_at_all(url):
    with pytest.raises(SettingsError, match="log_sink_url"):
        load({}, {"CHANCERY_LOG_SINK_URL": url})
    for right in ("https://logs.example.org/in", "http://127.0.0.1:9", "http://localhost:9/x"):
        assert load({}, {"CHANCERY_LOG_SINK_URL": right}).log_sink_url == right
