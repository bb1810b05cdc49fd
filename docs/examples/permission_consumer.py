"""Another system that asks Chancery what a user may do, keeps the answer, and hears of every change.

    export CHANCERY_CLIENT_KEY=... CHANCERY_API_KEY=...     # of POST /api-clients
    python docs/examples/permission_consumer.py <sub> <module:action>

It prints whether he may, then follows the feed and prints anew whenever that may have changed; Ctrl-C ends it.
Settings: CHANCERY_URL, CHANCERY_CLIENT_KEY, CHANCERY_API_KEY.
"""

import os
import sys
import time
from datetime import UTC, datetime
from typing import Any

import httpx

PAUSE = 0.5
"""Seconds between two looks at the feed: so long may a right that was revoked still be believed in."""


class Permissions:
    """Snapshots, one for each user who was asked about, dropped as soon as the feed names him."""

    def __init__(self, http: httpx.Client) -> None:
        self._http = http
        self._snapshots: dict[str, dict[str, Any]] = {}
        self._after: int | None = None

    def may(self, sub: str, right: str) -> bool:
        """Whether he may do it everywhere. Without a snapshot that still counts it is fetched."""
        kept = self._snapshots.get(sub)
        if kept is None or over(kept["next_change_at"]):
            kept = self._snapshots[sub] = self._get(f"/internal/permissions/{sub}/snapshot")
            self._after = kept["position"] if self._after is None else self._after
        return any(
            (held["scope_type"], f"{held['module']}:{held['action']}") == ("global", right)
            for held in kept["permissions"]
        )

    def follow(self) -> set[str]:
        """Read on in the feed; whose snapshots were dropped."""
        dropped: set[str] = set()
        more = self._after is not None
        while more:
            page = self._get("/permissions/changes", after=self._after)
            self._after, more = page["next_after"], page["has_more"]
            for change in page["data"]:
                kept = self._snapshots.get(change["sub"])
                if kept is not None and change["version"] > kept["version"]:
                    del self._snapshots[change["sub"]]
                    dropped.add(change["sub"])
        return dropped

    def _get(self, path: str, **query: Any) -> Any:
        return self._http.get(path, params=query).raise_for_status().json()


def over(moment: str | None) -> bool:
    """A right begins or ends by the clock at the next change that a snapshot names."""
    return moment is not None and datetime.fromisoformat(moment) <= datetime.now(UTC)


def main() -> None:
    sub, right = sys.argv[1:]
    url = os.environ.get("CHANCERY_URL", "http://127.0.0.1:8400")
    keys = {"X-Client-Key": os.environ["CHANCERY_CLIENT_KEY"], "X-API-Key": os.environ["CHANCERY_API_KEY"]}
    with httpx.Client(base_url=f"{url}/api/v1", headers=keys, timeout=30) as http:
        permissions, said = Permissions(http), ""
        while True:
            answer = "may" if permissions.may(sub, right) else "may not"
            if answer != said:
                print(f"{sub} {answer} {right}", flush=True)
                said = answer
            time.sleep(PAUSE)
            permissions.follow()


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(0)
