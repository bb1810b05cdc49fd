"""A trace runs from the request to the job, by one setting; a collector that is away costs nobody anything."""

import asyncio
import subprocess
import sys
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import pytest

import infrastructure.collector
from application import spans
from infrastructure.nats import APPENDED, Nats
from infrastructure.operations import Operations
from infrastructure.tasks import end
from projections.projection import discover
from tests import collector as collectors
from tests import office as offices
from tests import servers
from tests.collector import said
from tests.waiting import until
from workers import jobs
from workers.feed import Feed
from workers.projector import Projector
from workers.reactor import Reactor
from workers.relay import Relay

pytestmark = pytest.mark.anyio
ORGANISATION = {"full_name": "Secret Service"}


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """However slow this machine is, what is taken in the end was not given up."""
    monkeypatch.setattr(infrastructure.collector, "PATIENCE", 60.0)


@pytest.fixture(scope="module")
def collector():
    with collectors.opened() as made:
        yield made


@pytest.fixture(scope="module")
async def office(cluster, nats_server, collector):
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, traces_url=collector.url) as opened:
            yield opened


@pytest.fixture
def other_collector():
    with collectors.opened() as made:
        yield made


@asynccontextmanager
async def at_work(office, nats_server, *names):
    """Relay, reactor and these read models, as `chancery work` runs them."""
    system, url = office.system, office.system.settings.database_url
    system.nats.on(APPENDED, system.positions.ring)

    def feed():
        return Feed(system.log, system.positions, system.nats)

    async with Nats(nats_server.relay_url, "relay") as publisher:
        runs = [
            Relay(system.log, system.positions, publisher).run(url),
            Reactor(system.log, feed(), system.dialogs, system.contracts, system.brought_letters).run(url),
            *(Projector(discover()[name], system.log, feed(), system.nats).run(url) for name in names),
        ]
        tasks = [asyncio.create_task(run) for run in runs]
        try:
            yield
        finally:
            await end(*tasks)


async def work_off(office):
    operations = Operations(office.system.pool)
    due = []

    async def found():
        due.extend(await operations.due())
        return due

    await until(found)
    for operation_id in due:
        await jobs.perform(office.system, operations, operation_id)


def below(trace, span):
    return {each.name for each in trace if each.parent_span_id == span.span_id}


async def test_one_trace_runs_from_the_request_through_append_relay_read_model_and_reactor_to_the_job(
    office, nats_server, collector
):
    contact = await office.admin.post(f"{await office.organisation()}/contacts", json={"last_name": "Lee"})
    async with at_work(office, nats_server, "contact"):
        answer = await office.admin.post(f"/contacts/{contact.json()['id']}/erase", json={"reason": "asked"})
        assert answer.status_code == 200, answer.text
        await work_off(office)
        trace_id = answer.headers["x-request-id"]
        last = {"relay", "project contact", "job contact.forget"}
        await until(lambda: last <= {span.name for span in collector.trace(trace_id)})
    trace = collector.trace(trace_id)
    (root,) = [span for span in trace if not span.parent_span_id]
    (append,) = [span for span in trace if span.name == "append"]
    (fact,) = [span for span in trace if span.name == "contact.erased.v1"]
    (reaction,) = [span for span in trace if span.name == "react forget_contact_when_erased"]
    assert root.name == "POST /api/v1/contacts/{ref}/erase"
    assert said(root)["http.response.status_code"] == 200
    assert {"authenticate", "decode", "authorise", "decide", "append"} <= below(trace, root)
    assert below(trace, append) == {"seal", "contact.erased.v1"}
    assert below(trace, fact) == {"relay", "project contact", reaction.name}
    assert below(trace, reaction) == {"job contact.forget"}
    assert said(append)["chancery.verdict"] == "Accepted"
    assert said(fact)["chancery.position"] == answer.json()["position"]
    assert all(span.start_time_unix_nano <= span.end_time_unix_nano for span in trace)


async def test_a_batch_is_linked_with_what_it_carried_on(office, nats_server, collector):
    async with at_work(office, nats_server, "organisation"):
        answer = await office.admin.post("/organisations", json=ORGANISATION)
        trace_id = answer.headers["x-request-id"]
        await until(lambda: any(span.name == "project organisation" for span in collector.trace(trace_id)))
    trace = collector.trace(trace_id)
    (append,) = [span for span in trace if span.name == "append"]
    (fact,) = [span for span in trace if span.name == "organisation.added.v1"]
    for batches, span in (("append batch", append), ("project organisation batch", fact)):
        assert (span.trace_id, span.span_id) in [
            (link.trace_id, link.span_id) for each in collector.named(batches) for link in each.links
        ]
    assert append.links[0].span_id in [each.span_id for each in collector.named("append batch")]


async def test_outside_consumers_are_told_the_trace_and_nothing_is_stored_for_it(
    office, nats_server, collector
):
    answer = await office.admin.post("/organisations", json=ORGANISATION)
    (fact,) = await office.system.recorded(UUID(answer.json()["id"]))
    trace_id = answer.headers["x-request-id"]
    async with at_work(office, nats_server):
        await until(lambda: any(span.name == "relay" for span in collector.trace(trace_id)))
        message = await office.system.nats.stream.get_msg("EVENTS", fact.position)
    assert message.headers["traceparent"][3:35] == trace_id
    assert b"trace" not in fact.meta


async def test_a_callers_trace_is_gone_on_with_and_its_id_is_the_requests(office, collector):
    above = f"00-{uuid4().hex}-00f067aa0ba902b7-00"
    answer = await office.admin.post("/organisations", json=ORGANISATION, headers={"traceparent": above})
    assert answer.headers["x-request-id"] == above[3:35]
    await until(lambda: len(collector.trace(above[3:35])) > 5)
    (root,) = [each for each in collector.trace(above[3:35]) if each.name == "POST /api/v1/organisations"]
    assert root.parent_span_id.hex() == above[36:52]


async def test_a_request_id_of_the_callers_own_beside_his_trace_links_the_facts_to_it(office, collector):
    trace_id = uuid4().hex
    named = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01", "x-request-id": "order-7"}
    answer = await office.admin.post("/organisations", json=ORGANISATION, headers=named)
    assert answer.headers["x-request-id"] == "order-7"
    await until(lambda: any(each.name == "append" for each in collector.trace(trace_id)))
    (append,) = [each for each in collector.trace(trace_id) if each.name == "append"]
    (fact,) = [each for each in collector.named("organisation.added.v1") if each.links]
    assert fact.trace_id.hex() == f"{spans.trace_of('order-7'):032x}" != trace_id
    assert [link.span_id for link in fact.links] == [append.span_id]


async def test_what_fails_is_named_and_no_span_tells_whom_or_what_it_is_about(office, collector):
    answer = await office.admin.post("/organisations", json={"full_name": ["Secret Service"]})
    assert answer.status_code == 400, answer.text
    missing = await office.admin.get(f"/organisations/{uuid4()}?fields=name")
    await office.admin.post("/organisations", json=ORGANISATION)
    await until(lambda: collector.trace(missing.headers["x-request-id"]))
    (decode,) = [each for each in collector.trace(answer.headers["x-request-id"]) if each.name == "decode"]
    assert said(decode)["error.type"]
    told = "".join(str(span) for span in collector.spans)
    assert not any(word in told for word in ("Secret", "admin@", "Bearer", "127.0.0.1", "python-httpx"))


async def test_a_job_that_fails_is_a_span_to_look_at(office, nats_server, collector):
    operations = Operations(office.system.pool)
    await operations.ask("nothing.known", {}, occasion="test")
    await work_off(office)
    await until(lambda: collector.named("job nothing.known"))
    (job,) = collector.named("job nothing.known")
    assert (job.status.code, said(job)["error.type"]) == (2, "UnknownOperation")


async def test_a_collector_that_refuses_or_is_away_fails_no_request(database, nats_server, other_collector):
    other_collector.status = 503
    async with offices.opened(database, nats_server.url, traces_url=other_collector.url) as office:
        answers = [await office.admin.post("/organisations", json=ORGANISATION)]
        await until(lambda: other_collector.heard)
        other_collector.stop()
        answers += [await office.admin.post("/organisations", json=ORGANISATION) for _ in range(5)]
    assert [answer.status_code for answer in answers] == [201] * 6
    assert other_collector.spans == []


async def test_the_collector_is_asked_at_its_usual_path_with_the_headers_that_are_set(
    database, nats_server, other_collector
):
    settings = {"traces_url": other_collector.url, "traces_headers": "x-team=a b, authorization=Basic eA=="}
    async with offices.opened(database, nats_server.url, **settings) as office:
        await office.admin.get("/me")
    path, headers = other_collector.heard[0]
    assert (path, headers["x-team"], headers["authorization"]) == ("/v1/traces", "a b", "Basic eA==")


async def test_a_trace_that_is_not_sampled_leaves_nothing_and_one_that_is_is_whole(
    database, nats_server, other_collector
):
    settings = {"traces_url": other_collector.url, "traces_share": 0.5}
    sampled, out = f"{uuid4().hex[:18]}{'f' * 14}", f"{uuid4().hex[:18]}{'0' * 14}"
    async with offices.opened(database, nats_server.url, **settings) as office:
        for name in (out, sampled):
            await office.admin.post("/organisations", json=ORGANISATION, headers={"x-request-id": name})
    assert other_collector.trace(out) == []
    names = {span.name for span in other_collector.trace(sampled)}
    assert {"POST /api/v1/organisations", "append", "organisation.added.v1"} <= names


def test_with_no_collector_set_nothing_of_opentelemetry_is_even_imported():
    script = (
        "import sys; import api.app, workers.work, workers.jobs; from application import spans;"
        "assert not any(name.startswith(('opentelemetry.proto', 'google.protobuf')) for name in sys.modules);"
        "assert not spans.collected() and spans.part('x').__enter__() is None"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=120)
