"""Where spans go: an OpenTelemetry collector, by OTLP over HTTP. It may be away: then spans are lost, nothing else."""

import threading
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from urllib.parse import urlsplit

import structlog
import urllib3
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1 import trace_pb2
from prometheus_client import Counter

from application.spans import Kind, Place, Span

KEPT = 8_192
"""Spans that wait at most; the oldest go first."""
AT_ONCE = 512
EVERY = 1.0
"""Seconds a span waits at most, while the collector takes them."""
PATIENCE = 3.0
"""Seconds the collector may take for one batch, and the last ones at the end of a process."""

_ENDED = Counter("chancery_spans_total", "Spans by what became of them: sent, refused, dropped", ("ended",))
_KINDS: dict[Kind, trace_pb2.Span.SpanKind.ValueType] = {
    "internal": trace_pb2.Span.SPAN_KIND_INTERNAL,
    "server": trace_pb2.Span.SPAN_KIND_SERVER,
    "client": trace_pb2.Span.SPAN_KIND_CLIENT,
    "producer": trace_pb2.Span.SPAN_KIND_PRODUCER,
    "consumer": trace_pb2.Span.SPAN_KIND_CONSUMER,
}
_log = structlog.get_logger("collector")


class Collector:
    """Takes spans without waiting, from any thread; a thread of its own sends them."""

    def __init__(self, url: str, headers: str, name: str) -> None:
        """`headers`: name=value, a comma between two."""
        self._url = url if urlsplit(url).path.strip("/") else url.rstrip("/") + "/v1/traces"
        self._headers = {"content-type": "application/x-protobuf", **_headers(headers)}
        self._http = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=PATIENCE), retries=False, num_pools=1, maxsize=1
        )
        self._resource = Resource(
            attributes=_attributes({"service.name": "chancery", "chancery.process": name})
        )
        self._queue: deque[Span] = deque(maxlen=KEPT)
        self._wake, self._ending, self._away = threading.Event(), threading.Event(), False
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self._thread.start()

    def take(self, span: Span) -> None:
        if len(self._queue) == KEPT:
            _ENDED.labels("dropped").inc()
        self._queue.append(span)
        if len(self._queue) >= AT_ONCE:
            self._wake.set()

    def close(self) -> None:
        """Sends what waits, in PATIENCE seconds at most; blocks as long."""
        self._ending.set()
        self._wake.set()
        self._thread.join(PATIENCE)
        self._http.clear()

    def _run(self) -> None:
        while not self._ending.is_set():
            self._wake.wait(EVERY)
            self._wake.clear()
            while self._queue and self._send(self._next()) and not self._ending.is_set():
                pass
        until = time.monotonic() + PATIENCE
        while self._queue and time.monotonic() < until and self._send(self._next()):
            pass

    def _next(self) -> list[Span]:
        batch: list[Span] = []
        with suppress(IndexError):
            while len(batch) < AT_ONCE:
                batch.append(self._queue.popleft())
        return batch

    def _send(self, batch: Sequence[Span]) -> bool:
        """False when it did not take them. They are not sent again: newer ones tell more."""
        try:
            answer = self._http.request("POST", self._url, body=self._encoded(batch), headers=self._headers)
            problem = "" if answer.status < 300 else f"answered {answer.status}"
        except (urllib3.exceptions.HTTPError, OSError) as error:
            problem = type(error).__name__
        _ENDED.labels("refused" if problem else "sent").inc(len(batch))
        if bool(problem) != self._away:
            self._away = bool(problem)
            if problem:
                _log.warning("collector.away", error=problem)
            else:
                _log.info("collector.back")
        return not problem

    def _encoded(self, batch: Sequence[Span]) -> bytes:
        scope = trace_pb2.ScopeSpans(
            scope=InstrumentationScope(name="chancery"), spans=[_message(span) for span in batch]
        )
        whole = trace_pb2.ResourceSpans(resource=self._resource, scope_spans=[scope])
        encoded: bytes = ExportTraceServiceRequest(resource_spans=[whole]).SerializeToString()
        return encoded


def _message(span: Span) -> trace_pb2.Span:
    message = trace_pb2.Span(
        trace_id=span.trace_id.to_bytes(16),
        span_id=span.span_id.to_bytes(8),
        parent_span_id=span.parent_id.to_bytes(8) if span.parent_id else b"",
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.began,
        end_time_unix_nano=span.ended,
    )
    if span.attributes:
        message.attributes.extend(_attributes(span.attributes))
    if span.links:
        message.links.extend(_link(each) for each in span.links)
    if span.failed:
        message.status.code = trace_pb2.Status.STATUS_CODE_ERROR
    return message


def _link(place: Place) -> trace_pb2.Span.Link:
    return trace_pb2.Span.Link(trace_id=place.trace_id.to_bytes(16), span_id=place.span_id.to_bytes(8))


def _attributes(given: dict[str, str | int]) -> list[KeyValue]:
    return [
        KeyValue(
            key=name,
            value=AnyValue(int_value=value) if isinstance(value, int) else AnyValue(string_value=value),
        )
        for name, value in given.items()
    ]


def _headers(setting: str) -> dict[str, str]:
    pairs = (each.partition("=") for each in setting.split(",") if each.strip())
    return {name.strip(): value.strip() for name, _, value in pairs}
