"""Chancery as it is watched: figures of every process, lines in one form that can be followed, a sink that hears."""

import json
import re
from uuid import uuid4

import httpx
import pytest

from infrastructure.embedded.children import end, wait_until
from tests import servers, whole
from tests.collecting_lines import TOKEN, collecting
from tests.outside import free_port

ASKED = 20


@pytest.fixture(scope="module")
def collector():
    with collecting() as made:
        yield made


@pytest.fixture(scope="module")
def ports() -> dict[str, int]:
    return {"work": free_port(), "jobs": free_port()}


@pytest.fixture(scope="module")
def chancery(collector, ports):
    watched = {f"CHANCERY_{name.upper()}_METRICS_PORT": str(port) for name, port in ports.items()}
    with whole.up(
        servers.place("watched"),
        CHANCERY_HTTP_WORKERS="2",
        CHANCERY_LOG_FORMAT="json",
        CHANCERY_LOG_SINK_URL=collector.url,
        CHANCERY_LOG_SINK_TOKEN=TOKEN,
        **watched,
    ) as running:
        yield running


def counted(text: str, name: str) -> float:
    """The sum of a figure's series."""
    return sum(float(each) for each in re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE))


def test_a_scrape_meets_all_who_serve_at_once(chancery):
    for _ in range(ASKED):  # each over a connection of its own, which either process may take
        httpx.get(f"{chancery.url}/api/v1/auth/password-policy").raise_for_status()
    route = (
        'chancery_http_request_seconds_count{method="GET",route="/api/v1/auth/password-policy",status="200"}'
    )

    def told() -> bool:
        text = httpx.get(f"{chancery.url}/metrics").text
        return f"{route} {ASKED}.0" in text

    assert all(told() for _ in range(5))
    assert len(chancery.http_workers()) >= 2


def test_what_a_process_that_is_gone_had_waiting_is_told_no_more(chancery):
    def room() -> float:
        return counted(httpx.get(f"{chancery.url}/metrics").text, "chancery_threads_room")

    before = room()
    end(chancery.http_workers()[0], 9)
    assert wait_until(lambda: len(chancery.http_workers()) >= 2 and room() == before, whole.START)


def test_work_and_jobs_tell_their_own_figures(chancery, ports):
    with chancery.signed_in() as admin:
        made = admin.post("/organisations", json={"full_name": "Followed"}).raise_for_status().json()
        newest = {"X-Min-Position": str(made["position"])}
        assert wait_until(
            lambda: admin.get(f"/organisations/{made['id']}", headers=newest).status_code == 200, whole.START
        )

    def told(process: str, name: str) -> float:
        try:
            return counted(httpx.get(f"http://127.0.0.1:{ports[process]}/metrics").text, name)
        except httpx.ConnectError:  # it has yet to start
            return 0.0

    assert wait_until(lambda: told("work", "chancery_relay_published_total") > 0, whole.START)
    assert told("work", "chancery_role_held") > 20
    assert told("work", "chancery_feed_events_total") > 0
    assert wait_until(lambda: told("jobs", "chancery_job_seconds_count") > 0, whole.START)


def test_every_line_is_json_and_one_request_can_be_followed_through(chancery, collector):
    named = f"follow-{uuid4().hex}"
    body = {"email": f"{uuid4()}@example.org", "first_name": "Zoe", "last_name": "Zeta"}
    with chancery.signed_in() as admin:
        made = admin.post("/users", json=body, headers={"X-Request-Id": named}).raise_for_status().json()
        asked = {"list": "organisations", "format": "csv"}
        admin.post("/exports", json=asked, headers={"X-Request-Id": named}).raise_for_status()

    def lines() -> list[dict]:
        return [json.loads(text) for text in chancery.log.read_text().splitlines() if text.startswith("{")]

    def of_it() -> list[dict]:
        return [line for line in lines() if line.get("request_id") == named]

    assert wait_until(lambda: {line["event"] for line in of_it()} >= {"request", "fact"}, whole.START)
    (fact,) = [line for line in of_it() if line["event"] == "fact"]
    assert (fact["topic"], fact["stream"]) == ("user.registered.v1", made["id"])
    assert all(line.keys() >= {"event", "level", "timestamp"} for line in lines())
    told = chancery.log.read_text()
    assert not any(secret in told for secret in (body["email"], "Zoe", TOKEN, made["temporary_password"]))
    assert wait_until(lambda: any(line.get("request_id") == named for line in collector.lines), whole.START)
    assert not any(secret in str(collector.lines) for secret in (body["email"], "Zoe"))


def test_the_doctor_finds_a_running_chancery_well(chancery):
    assert wait_until(lambda: '"roles","ok":false' not in chancery.ready().text.replace(" ", ""), whole.START)
    findings = json.loads(chancery.run("doctor", "--json"))
    assert [each for each in findings if not each["well"]] == []
    assert {"API", "relay", "signer", "reactor", "jobs", "epoch", "S3 writes", "log sink"} <= {
        each["what"] for each in findings
    }
