"""A collector of log lines, on loopback: takes what is posted, and fails in whatever way a test wants."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TOKEN = "the token of our collector"


class Collector:
    """`lines` in the order of their coming. `statuses` are answered first, one each; `largest`: lines in one batch.

    While `held` is clear, a post is not answered.
    """

    def __init__(self) -> None:
        self.lines: list[dict[str, Any]] = []
        self.batches: list[int] = []
        self.tokens: set[str] = set()
        self.statuses: list[int] = []
        self.asked = 0
        self.largest = 1_000_000
        self.poison = ""
        self.held = threading.Event()
        self.held.set()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/lines"

    @property
    def messages(self) -> list[str]:
        return [line["message"] for line in self.lines]

    def start(self) -> None:
        """Listens at the port of before, if there was one."""
        collector = self

        class Taking(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                status = collector.judge(body, self.headers["authorization"])
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Taking)
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True).start()

    def stop(self) -> None:
        assert self._server is not None
        self._server.shutdown()
        self._server.server_close()
        self._server = None

    def judge(self, body: bytes, authorization: str) -> int:
        self.asked += 1
        self.held.wait(60)
        if self.statuses:
            return self.statuses.pop(0)
        lines = json.loads(body)
        if len(lines) > self.largest:
            return 413
        if self.poison and any(self.poison in line["message"] for line in lines):
            return 400
        self.tokens.add(authorization)
        self.batches.append(len(lines))
        self.lines += lines
        return 202


@contextmanager
def collecting() -> Iterator[Collector]:
    collector = Collector()
    collector.start()
    try:
        yield collector
    finally:
        collector.held.set()
        if collector._server is not None:
            collector.stop()
