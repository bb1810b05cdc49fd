"""Servers that others run, and processes of ours on them by address alone: two of each, as many as one likes."""

import json
import os
import socket
import sys
from base64 import b64encode
from pathlib import Path

import httpx

from infrastructure.embedded.children import Child
from infrastructure.embedded.postgres import APP, OWNER, Postgres
from tests import servers
from tests.whole import ADMIN, ENVIRONMENT, PASSWORD

CHANCERY = [sys.executable, "-m", "cli.main"]


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def listens(port: int) -> bool:
    with socket.socket() as asking:
        return asking.connect_ex(("127.0.0.1", port)) == 0


class Outside:
    """The servers, as somebody else started them, and where ours are to find them."""

    def __init__(self, place: Path) -> None:
        self.place = place
        folder = servers.opened(place / "postgres")
        self.postgres = Postgres(folder, folder.sockets(), fast=True)
        self.postgres.start()
        self.nats = servers.Nats(place / "nats")
        self.s3 = servers.ObjectStore(place / "s3")
        self.database_url, self.owner_url = self.postgres.url(APP), self.postgres.url(OWNER)
        self.began: list[Child] = []

    def environment(self, redis_url: str) -> dict[str, str]:
        """All that our processes know; the owner's address is not among it."""
        return ENVIRONMENT | {
            "CHANCERY_MODE": "production",
            "CHANCERY_DATA_DIR": str(self.place / "nothing"),
            "CHANCERY_PUBLIC_URL": "http://chancery.example",
            "CHANCERY_ADMIN_EMAIL": ADMIN,
            "CHANCERY_ADMIN_PASSWORD": PASSWORD,
            "CHANCERY_KEY_ENCRYPTION_KEY": b64encode(os.urandom(32)).decode(),
            "CHANCERY_LOG_FORMAT": "json",
            "DATABASE_URL": self.database_url,
            "NATS_URL": self.nats.url,
            "CHANCERY_NATS_RELAY_URL": self.nats.relay_url,
            "REDIS_URL": redis_url,
            "S3_ENDPOINT": self.s3.endpoint,
            "S3_ACCESS_KEY": self.s3.access_key,
            "S3_SECRET_KEY": self.s3.secret_key,
            "S3_BUCKET": "letters",
        }

    def start(self, environment: dict[str, str], *words: str) -> Child:
        folder = self.place / f"{words[0]}-{len(self.began)}"
        folder.mkdir()
        child = Child(words[0], folder, log=folder / "log")
        child.start([*CHANCERY, *words], environment)
        self.began.append(child)
        return child

    def stop(self) -> None:
        for child in self.began:
            child.stop(5)
        self.s3.stop()
        self.nats.stop()
        self.postgres.child.stop()


def said(child: Child) -> str:
    return child._log.read_text()


def took_the_relay(worker: Child) -> bool:
    lines = [json.loads(line) for line in said(worker).splitlines()]
    return any(line["event"] == "role.taken" and line["role"] == "relay" for line in lines)


def ready(port: int) -> bool:
    try:
        return httpx.get(f"http://127.0.0.1:{port}/readyz", timeout=5).status_code == 200
    except httpx.TransportError:
        return False
