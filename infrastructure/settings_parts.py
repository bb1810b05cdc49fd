"""Settings in groups that others ask for by name: where the servers are, where spans go, how much is let in at once."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any

from msgspec import Meta, Struct

Secret = Annotated[str, Meta(extra={"secret": True})]


class Servers(Struct, frozen=True, kw_only=True):
    """Where the four servers are. An empty string means: not set."""

    database_url: Annotated[str, Meta(description="PostgreSQL, as the least-privilege role of the app")] = ""
    database_owner_url: Annotated[str, Meta(description="PostgreSQL, as the role that migrates")] = ""
    nats_url: Annotated[str, Meta(description="NATS for API and workers")] = ""
    nats_relay_url: Annotated[str, Meta(description="NATS, as the one user who may publish events.>")] = ""
    redis_url: Annotated[str, Meta(description="Redis or Valkey, the broker of jobs")] = ""
    s3_endpoint: Annotated[str, Meta(description="S3 server as host:port")] = ""
    s3_access_key: Annotated[Secret, Meta(description="S3 access key id")] = ""
    s3_secret_key: Annotated[Secret, Meta(description="S3 secret key")] = ""


class Traces(Servers, frozen=True, kw_only=True):
    """Where spans go, and how many. An empty string means: not set."""

    traces_url: Annotated[
        str,
        Meta(description="OpenTelemetry collector, OTLP over HTTP: http://127.0.0.1:4318; unset = no spans"),
    ] = ""
    traces_share: Annotated[
        float, Meta(ge=0, le=1, description="share of the traces that are sampled, between 0 and 1")
    ] = 1.0
    traces_headers: Annotated[
        Secret, Meta(description="headers for the collector: name=value, comma between two")
    ] = ""


class Limits(Traces, frozen=True, kw_only=True):
    """How much one process that serves the API lets in at once, and how long it waits for whom."""

    connections_at_once: Annotated[
        int, Meta(ge=64, le=1_000_000, description="connections of an API process, idle ones, too")
    ] = 8_192
    commands_at_once: Annotated[
        int, Meta(ge=1, le=100_000, description="commands in flight in an API process; more are told 503")
    ] = 1_024
    reads_at_once: Annotated[
        int, Meta(ge=1, le=100_000, description="reads in flight in an API process; more are told 503")
    ] = 1_024
    uploads_at_once: Annotated[
        int, Meta(ge=1, le=10_000, description="files on their way into an API process; more are told 503")
    ] = 16
    sign_ins_at_once: Annotated[
        int, Meta(ge=1, le=10_000, description="requests to /auth in flight in an API process")
    ] = 128
    streams_at_once: Annotated[
        int, Meta(ge=1, le=100_000, description="open streams of the event feed in an API process")
    ] = 200
    listeners_at_once: Annotated[
        int, Meta(ge=1, le=100_000, description="open streams of /me/stream in an API process")
    ] = 5_000
    sockets_at_once: Annotated[
        int, Meta(ge=1, le=100_000, description="open WebSockets in an API process")
    ] = 2_000
    streams_of_one: Annotated[
        int, Meta(ge=1, le=100_000, description="open streams of a kind of one caller in an API process")
    ] = 20
    command_seconds: Annotated[
        int, Meta(ge=1, le=300, description="seconds a command waits to be written, then it is told 503")
    ] = 10
    header_seconds: Annotated[
        int, Meta(ge=1, le=300, description="seconds the head of a request may take, and an idle connection")
    ] = 10
    body_seconds: Annotated[int, Meta(ge=1, le=3_600, description="seconds a JSON body may take")] = 30
    upload_seconds: Annotated[int, Meta(ge=1, le=86_400, description="seconds a file may take")] = 1_800
    slow_reader_seconds: Annotated[
        int, Meta(ge=1, le=3_600, description="seconds a reader may take nothing of what was sent to him")
    ] = 30


PARTS = ("listeners_at_once", "sockets_at_once", "streams_at_once")


def limit_disagreements(
    values: Mapping[str, Any], sources: Mapping[str, str]
) -> Iterator[tuple[str, str, str]]:
    """Places that nobody could take: (setting, where it was said, problem)."""
    limits = Limits()
    most = values.get("connections_at_once") or limits.connections_at_once
    if sum(values.get(name) or getattr(limits, name) for name in PARTS) >= most:
        name = next((each for each in ("connections_at_once", *PARTS) if values.get(each)), PARTS[0])
        problem = (
            f"leaves no connection for requests: {' + '.join(PARTS)} must be less than connections_at_once"
        )
        yield name, sources[name], problem
