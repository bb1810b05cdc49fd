"""What answers GET /v1/kv/…?recurse as Consul documents it: values in base64, a token, 404 for nothing."""

import json
from base64 import b64encode
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

TOKEN = "b1gs33cr3t-token"


class Consul:
    """`pairs`: what it keeps, None for a key without a value. `answer`: what it says instead, when set."""

    def __init__(self, pairs: Mapping[str, str | bytes | None], token: str = "") -> None:
        self.pairs, self.token = dict(pairs), token
        self.answer: tuple[int, bytes] | None = None
        self.asked: list[str] = []
        self.url = ""

    def kept(self, prefix: str) -> list[dict[str, object]]:
        found = sorted(key for key in self.pairs if key.startswith(prefix))
        return [
            {"LockIndex": 0, "Key": key, "Flags": 0, "Value": _coded(self.pairs[key]), "CreateIndex": 7}
            for key in found
        ]

    def answers(self, path: str, given: str) -> tuple[int, bytes]:
        self.asked.append(path)
        if self.answer is not None:
            return self.answer
        if self.token and given != self.token:
            return 403, b"Permission denied"
        parts = urlsplit(path)
        assert "recurse" in parse_qs(parts.query)
        found = self.kept(unquote(parts.path).removeprefix("/v1/kv/"))
        return (200, json.dumps(found).encode()) if found else (404, b"")


def _coded(value: str | bytes | None) -> str | None:
    if value is None:
        return None
    return b64encode(value.encode() if isinstance(value, str) else value).decode()


@contextmanager
def consul(pairs: Mapping[str, str | bytes | None], token: str = "") -> Iterator[Consul]:
    kept = Consul(pairs, token)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = kept.answers(self.path, self.headers.get("X-Consul-Token", ""))
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing: the token is in the request."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_port}"
        thread = Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield kept
        finally:
            server.shutdown()
            thread.join()
