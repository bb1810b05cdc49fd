"""Servers that no command needs, and much else does: NATS, Redis, S3, mail, the log sink."""

import asyncio
from collections.abc import Callable, Iterator
from io import BytesIO
from uuid import uuid4

import redis
import urllib3.exceptions
from minio.error import MinioException

from cli.diagnosis.bus import connected
from cli.diagnosis.database import START
from cli.diagnosis.finding import Finding, judged, line, well, wrong
from infrastructure import bucket, log_sink
from infrastructure.core import clock
from infrastructure.mail.delivery import mailer_of, sender_of
from infrastructure.registers.outside_calls import OutsideFailed
from infrastructure.settings import Settings

LOOK = "look at its log, and at its URL and password"
AWAY = (
    OSError,
    redis.RedisError,
    MinioException,
    urllib3.exceptions.HTTPError,
)


def others(settings: Settings) -> Iterator[Finding]:
    checks: dict[str, tuple[str, Callable[[Settings], Iterator[Finding]]]] = {
        "NATS": (settings.nats_url, _nats),
        "Redis": (settings.redis_url, _redis),
        "S3": (settings.s3_endpoint, _s3),
    }
    for what, (url, check) in checks.items():
        if not url:
            yield wrong(what, "is not running", START)
            continue
        try:
            yield from check(settings)
        except AWAY as error:
            yield wrong(what, line(error), LOOK)


def _nats(settings: Settings) -> Iterator[Finding]:
    for user, url in {"app": settings.nats_url, "relay": settings.nats_relay_url}.items():
        asyncio.run(_signed_in(url))
        yield well("NATS" if user == "app" else "NATS for the relay", "answers, and takes our password")


async def _signed_in(url: str) -> None:
    """Raises TimeoutError."""
    async with connected(url):
        pass


def _redis(settings: Settings) -> Iterator[Finding]:
    with redis.Redis.from_url(settings.redis_url, socket_timeout=5, socket_connect_timeout=5) as client:
        client.ping()
        kept, memory = client.info("persistence"), client.info("memory")
    yield well("Redis", "answers")
    appended = bool(kept.get("aof_enabled"))
    fix = "`redis-cli config set appendonly yes`, and in its file: else jobs wait after a restart until offered again"
    yield judged("Redis keeps", "every write" if appended else "nothing over a restart", fix, good=appended)
    policy = str(memory.get("maxmemory_policy", ""))
    fix = "`redis-cli config set maxmemory-policy noeviction`: a queue must not be thinned out"
    yield judged("Redis when full", policy, fix, good=policy == "noeviction")


def _s3(settings: Settings) -> Iterator[Finding]:
    asking, name = bucket.client(settings), settings.s3_bucket
    if not asking.bucket_exists(name):
        yield wrong("S3", f"answers, but has no bucket {name}", "`chancery migrate` makes it")
        return
    yield well("S3", f"answers, with bucket {name}")
    key = f"doctor/{uuid4().hex}"
    try:
        asking.put_object(name, key, BytesIO(b"?"), 1)
        asking.remove_object(name, key)
    except AWAY as error:
        fix = f"let its key put and remove objects in {name}, and make room"
        yield wrong("S3 writes", line(error), fix)
    else:
        yield well("S3 writes", "and removes")


def mail(settings: Settings) -> Iterator[Finding]:
    """Whether there is a server that takes it."""
    mailer = mailer_of(settings, clock)
    if mailer is None:
        yield well("mail", "not set up: none is queued or sent")
        return
    try:
        yield well("mail", f"{asyncio.run(mailer.probe())}, from {sender_of(settings)}")
    except OutsideFailed as error:
        yield wrong("mail", line(error), "look at CHANCERY_SMTP_URL: host, port, password, starttls, ca")


def sink(settings: Settings) -> Iterator[Finding]:
    """One line is sent there: nothing else shows that it takes them."""
    if not settings.log_sink_url:
        yield well("log sink", "not set up: lines stand on stderr alone")
        return
    trouble = log_sink.probe(settings)
    fix = "look at CHANCERY_LOG_SINK_URL and CHANCERY_LOG_SINK_TOKEN_FILE; meanwhile lines are kept in memory"
    yield judged("log sink", trouble or "takes lines", fix, good=trouble is None)
