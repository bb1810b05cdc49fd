"""What was paid and invoiced in each currency, at a position, from an export alone: no server, no database.

    chancery audit export log.ndjson && chancery audit verify log.ndjson --key ...
    python docs/examples/replay_money.py log.ndjson [position]

It fills the in-memory recorder of the eventsourcing package and asks that by the package's ordinary API, so a script
that was written for one works on the other. Verify the export first: this script believes what it reads.
"""

import json
import sys
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from uuid import UUID

from eventsourcing.application import Application
from eventsourcing.persistence import Notification, StoredEvent

SIGNS = {
    "contract.payment_recorded.v1": ("paid", 1),
    "contract.payment_reversed.v1": ("paid", -1),
    "contract.invoiced.v1": ("invoiced", 1),
    "contract.credited.v1": ("invoiced", -1),
}
PAGE = 500


def events(export: Path) -> Iterator[StoredEvent]:
    """A leaf has position, event id, stream, version, topic, time, and in base64 what stood beside it and its state."""
    with export.open() as lines:
        for line in lines:
            if line.startswith('{"i":'):
                leaf = json.loads(b64decode(json.loads(line)["leaf"]))
                yield StoredEvent(UUID(leaf[2]), leaf[3], leaf[4], b64decode(leaf[7]))


class Log(Application[UUID]):
    """A log in the package's own in-memory recorder, to be read a page at a time."""

    log_section_size = PAGE


def loaded(export: Path) -> Log:
    """Filled in the order of the log, so that notification ids are its positions."""
    log = Log()
    page: list[StoredEvent] = []
    for event in events(export):
        page.append(event)
        if len(page) == PAGE:
            log.recorder.insert_events(page)
            page = []
    log.recorder.insert_events(page)
    return log


def notifications(log: Log, position: int | None) -> Iterator[Notification]:
    """Those about money, up to the position."""
    start = 1
    while page := log.notification_log.select(start, PAGE, stop=position, topics=list(SIGNS)):
        yield from page
        start = page[-1].id + 1


def main(export: Path, position: int | None) -> None:
    sums: defaultdict[str, dict[str, Decimal]] = defaultdict(
        lambda: {"paid": Decimal(), "invoiced": Decimal()}
    )
    with loaded(export) as log:
        for notification in notifications(log, position):
            column, sign = SIGNS[notification.topic]
            amount = json.loads(notification.state)["amount"]
            sums[amount["currency"]][column] += sign * Decimal(amount["amount"])
    for currency, figures in sorted(sums.items()):
        print(currency, *(f"{name} {value}" for name, value in figures.items()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else None)
