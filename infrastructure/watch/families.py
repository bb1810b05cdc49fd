"""What a survey found, as Prometheus wants to read it."""

from collections.abc import Iterator, Mapping

from prometheus_client.core import GaugeMetricFamily, Metric

from infrastructure.watch.survey import ROLES, Follower, Survey


def families(found: Survey | None, neighbours: Mapping[str, bool | None], failed: int) -> Iterator[Metric]:
    """`found` is None when nobody knows how it is now: then its figures are absent, rather than old."""
    yield _one("chancery_up", "Whether the log was seen within the last ten seconds", found is not None)
    yield _one("chancery_tasks_dead", "Background tasks of this process that died", failed)
    up = _many("chancery_neighbour_up", "Whether a server that no command needs answers", "neighbour")
    for name, alive in neighbours.items():
        if alive is not None:
            up.add_metric([name], alive)
    yield up
    if found is not None:
        yield from _followers(found)
        yield from _log(found)
        yield from _work(found)


def _followers(found: Survey) -> Iterator[Metric]:
    single = {"relay": found.relay, "signer": found.signer, "reactor": found.reactor}
    for name, follower in single.items():
        if follower is not None:
            yield _one(f"chancery_{name}_lag_positions", f"Events the {name} is behind", follower.lag)
            yield _one(
                f"chancery_{name}_lag_seconds",
                f"How long the first event the {name} has not done waits",
                follower.waited,
            )
    yield _one(
        "chancery_reactor_failing",
        "Whether the reactor stands still at an event",
        found.reactor is not None and found.reactor.failure is not None,
    )
    yield from _per_projection(found.projections)
    rebuilding = _many("chancery_rebuild_lag_positions", "Events a rebuild has yet to read", "projection")
    for name, follower in found.rebuilds.items():
        rebuilding.add_metric([name], follower.lag)
    yield rebuilding


def _per_projection(projections: Mapping[str, Follower]) -> Iterator[Metric]:
    lag = _many("chancery_projection_lag_positions", "Events a read model is behind", "projection")
    waited = _many(
        "chancery_projection_lag_seconds",
        "How long the first event that a read model has not taken in waits",
        "projection",
    )
    failing = _many(
        "chancery_projection_failing", "Whether a read model stands still at an event", "projection"
    )
    parked = _many("chancery_projection_parked_streams", "Streams set aside for a read model", "projection")
    for name, follower in projections.items():
        lag.add_metric([name], follower.lag)
        waited.add_metric([name], follower.waited)
        failing.add_metric([name], follower.failure is not None)
        parked.add_metric([name], follower.parked)
    yield from (lag, waited, failing, parked)


def _log(found: Survey) -> Iterator[Metric]:
    yield _one("chancery_head_position", "Events in the log", found.head)
    if found.newest_at is not None:
        yield _one(
            "chancery_head_timestamp_seconds",
            "When the newest event was recorded",
            found.newest_at.timestamp(),
        )
    yield _one("chancery_signed_position", "Events under the newest signed checkpoint", found.signer.position)
    if found.signed_at is not None:
        yield _one(
            "chancery_signed_timestamp_seconds",
            "When the newest checkpoint was signed",
            found.signed_at.timestamp(),
        )
    yield _one("chancery_epochs", "Histories of this log; a new one begins after a restore", found.epochs)
    yield _one(
        "chancery_epoch_pending", "Whether the stream contradicts the log", found.strange_stream is not None
    )
    yield _one(
        "chancery_append_lock_waiters", "Sessions that wait for the log's lock now", found.lock_waiting
    )
    yield _one(
        "chancery_append_lock_longest_seconds", "How long the first of them has waited", found.lock_waited
    )
    yield _one("chancery_migrations_missing", "Migrations the database has not had", len(found.missing))


def _work(found: Survey) -> Iterator[Metric]:
    count = _many(
        "chancery_operations", "Operations by kind and state; failed: in the last day", "kind", "state"
    )
    for each in found.work:
        count.add_metric([each.kind, each.state], each.count)
    yield count
    oldest = _many(
        "chancery_operation_age_seconds", "How long the oldest operation is due, or at work", "state"
    )
    tried = _many("chancery_operation_attempts", "Attempts at the operation that was tried most", "state")
    for state in ("queued", "running"):
        oldest.add_metric([state], max((each.oldest for each in found.of(state)), default=0))
        tried.add_metric([state], max((each.attempts for each in found.of(state)), default=0))
    yield from (oldest, tried)
    if found.check is not None:
        yield _one(
            "chancery_check_timestamp_seconds",
            "When log, guards and read models were last compared",
            found.check.at.timestamp(),
        )
        yield _one("chancery_check_differences", "Differences that comparison found", found.check.differing)
    outside = _many("chancery_kept_outside_timestamp_seconds", "When it was last written outside", "what")
    for what, at in found.kept_outside.items():
        outside.add_metric([what.replace(" ", "_")], at.timestamp())
    yield outside
    alarms = _many("chancery_alarm", "What somebody found wrong and has not cleared", "name")
    for name in found.alarms:
        alarms.add_metric([name], 1)
    yield alarms
    held = _many("chancery_role_holders", "Whether any process has the role", "role")
    for role in (*found.projections, *ROLES):
        held.add_metric([role], role in found.held)
    yield held


def _one(name: str, question: str, value: float) -> Metric:
    return GaugeMetricFamily(name, question, value=value)


def _many(name: str, question: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, question, labels=labels)
