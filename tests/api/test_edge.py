"""What every request is given and every answer carries, whoever answers."""

import asyncio
import re
from typing import Any

import pytest
from litestar import post
from litestar.exceptions import ImproperlyConfiguredException
from structlog.testing import capture_logs

from api.answers import Answer
from api.arrival import SLASH
from api.edge import Edge
from api.errors import on_error
from infrastructure.logging import request_id
from infrastructure.watch.figures import exposition
from tests.api.tiny import ID, client, tiny_app

pytestmark = pytest.mark.anyio

EVERYWHERE = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "vary": "origin",
}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/v1/houses/1", 200),
        ("POST", "/api/v1/houses/1/sell", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/api/v1/houses", 405),
        ("TRACE", "/api/v1/houses", 405),
        ("GET", "/api/v1/boom", 500),
        ("GET", "/api/v1/houses/%00", 400),
        ("GET", "/api/v1/houses/%ff", 400),
        ("GET", "/api/v1/houses/a%1Fb", 400),
        ("GET", "/api/v1/houses?page_size=%00", 400),
        ("GET", "/api/v1/houses?page_size=%ff", 400),
        ("POST", "/api/v1/houses", 400),
    ],
)
async def test_every_answer_carries_the_same_headers(method: str, path: str, status: int):
    async with client() as http:
        answer = await http.request(method, path)
    assert answer.status_code == status
    assert {name: answer.headers.get(name) for name in EVERYWHERE} == EVERYWHERE
    assert re.fullmatch("[0-9a-f]{32}", answer.headers["x-request-id"])
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
        assert answer.json()["status"] == status
    assert "strict-transport-security" not in answer.headers


async def test_production_insists_on_tls():
    async with client(production=True) as http:
        assert "max-age" in (await http.get("/nowhere")).headers["strict-transport-security"]


async def test_a_bad_host_is_a_problem_too():
    async with client() as http:
        answer = await http.get("/api/v1/houses", headers={"host": "a b"})
    assert (answer.status_code, answer.json()["code"]) == (400, "request.malformed")


@pytest.mark.parametrize(
    ("given", "kept"), [("abc-1.X_", True), ("a" * 65, False), ("a b", False), ("", False)]
)
async def test_a_good_request_id_is_kept(given: str, kept: bool):  # noqa: FBT001
    async with client() as http:
        answer = await http.get("/api/v1/houses/1", headers={"x-request-id": given})
    assert (answer.headers["x-request-id"] == given) is kept
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == request_id.get()


async def test_handlers_learn_who_asks():
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    async with client() as http:
        seen = (await http.get("/api/v1/houses/1", headers={"user-agent": "me", "traceparent": trace})).json()
        bad = (await http.get("/api/v1/houses/1", headers={"traceparent": trace.replace("a", "z")})).json()
    assert (seen["user_agent"], seen["traceparent"], seen["client_address"]) == ("me", trace, "127.0.0.1")
    assert bad["traceparent"] is None


@pytest.mark.parametrize(
    ("trusted", "forwarded", "seen"),
    [
        ((), "203.0.113.9", "127.0.0.1"),
        (("10.0.0.0/8",), "203.0.113.9", "127.0.0.1"),
        (("127.0.0.0/8",), "203.0.113.9", "203.0.113.9"),
        (("127.0.0.0/8",), "1.1.1.1, 203.0.113.9", "203.0.113.9"),
        (("127.0.0.0/8", "10.0.0.0/8"), "1.1.1.1, 203.0.113.9:4711, 10.0.0.7", "203.0.113.9"),
        (("127.0.0.0/8", "10.0.0.0/8"), "junk, 10.0.0.7", "10.0.0.7"),
        (("127.0.0.0/8",), "[2001:db8::1]:443", "2001:db8::1"),
        (("127.0.0.0/8",), "::ffff:203.0.113.9", "203.0.113.9"),
    ],
)
async def test_only_trusted_proxies_are_believed(trusted: tuple[str, ...], forwarded: str, seen: str):
    async with client(trusted_proxies=trusted) as http:
        answer = await http.get("/api/v1/houses/1", headers={"x-forwarded-for": forwarded})
    assert answer.json()["client_address"] == seen


async def test_head_is_get_without_the_body():
    async with client() as http:
        whole, head = await http.get("/api/v1/houses/1"), await http.head("/api/v1/houses/1")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["etag"].startswith('"v17-')
    assert int(head.headers["content-length"]) == len(whole.content)


async def test_405_names_the_methods_that_work():
    async with client() as http:
        assert (await http.delete("/api/v1/houses")).headers["allow"] == "GET, HEAD, OPTIONS, POST"


async def test_an_encoded_slash_stays_inside_its_segment():
    async with client() as http:
        assert (await http.get("/api/v1/houses/12%2F2026%20%D1%8F")).json()["ref"] == f"12{SLASH}2026 я"


async def test_a_path_before_ours_is_taken_off_and_put_back():
    async with client(root_path="/office") as http:
        made = await http.post("/office/api/v1/houses", json={"name": "x"})
        listed = await http.get("/office/api/v1/houses?page_size=3")
        direct = await http.get("/api/v1/houses/office")
        inside = await http.get("/office/api/v1/houses/office%2Fx")
        other = await http.get("/officers/api/v1/houses/office")
    assert made.headers["location"] == f"/office/api/v1/houses/{ID}"
    assert listed.headers["link"] == '</office/api/v1/houses?page_size=3&page_token=next>; rel="next"'
    assert (direct.json()["ref"], inside.json()["ref"]) == ("office", f"office{SLASH}x")
    assert other.status_code == 404


async def test_only_listed_origins_may_read():
    async with client(origins=("https://a.example",)) as http:
        friend = await http.get("/nowhere", headers={"origin": "https://a.example"})
        stranger = await http.get("/nowhere", headers={"origin": "https://a.example.evil.com"})
        asks = {"access-control-request-method": "POST"}
        may = await http.options("/api/v1/houses", headers={"origin": "https://a.example", **asks})
        may_not = await http.options("/api/v1/houses", headers={"origin": "null", **asks})
    assert friend.headers["access-control-allow-origin"] == "https://a.example"
    assert "x-event-position" in friend.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in stranger.headers
    assert (may.status_code, may_not.status_code) == (204, 204)
    assert "idempotency-key" in may.headers["access-control-allow-headers"]
    assert not [name for name in may_not.headers if name.startswith("access-control")]
    assert {one.headers["vary"] for one in (friend, stranger, may, may_not)} == {"origin"}


async def test_every_request_leaves_a_line_without_secrets():
    with capture_logs() as lines:
        async with client() as http:
            await http.get("/api/v1/houses/77?secret=hunter2", headers={"authorization": "Bearer hunter2"})
            await http.get("/hunter2")
    assert [(one["method"], one["route"], one["status"]) for one in lines] == [
        ("GET", "/api/v1/houses/{ref}", 400),
        ("GET", "unmatched", 404),
    ]
    assert all(one["request_id"] and one["ms"] >= 0 for one in lines)
    assert "hunter2" not in repr(lines)


async def test_a_500_leaves_a_trace_and_tells_nothing():
    with capture_logs() as lines:
        async with client() as http:
            answer = await http.get("/api/v1/boom")
    assert answer.json()["code"] == "internal"
    assert "vault" not in answer.text
    unhandled = next(one for one in lines if one["event"] == "unhandled")
    assert isinstance(unhandled["exc_info"], RuntimeError)
    assert unhandled["request_id"] == answer.headers["x-request-id"]


async def test_an_app_that_breaks_outright_is_still_answered():
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise ZeroDivisionError

    with capture_logs() as lines:
        async with client(broken) as http:
            answer = await http.get("/")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal")
    assert [one["event"] for one in lines] == ["unhandled", "request"]


async def test_half_an_answer_ends_with_the_connection():
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    with capture_logs(), pytest.raises(ZeroDivisionError):
        async with client(broken) as http:
            await http.get("/")


async def test_a_body_that_never_comes_is_given_up():
    sent: list[Any] = []
    silent = asyncio.Event()

    async def receive() -> Any:
        await silent.wait()

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"content-type", b"application/json"), (b"content-length", b"9")]
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/api/v1/houses",
        "query_string": b"",
        "headers": headers,
    }
    await Edge(tiny_app(), body_seconds=0.01)(scope, receive, send)
    assert sent[0]["status"] == 408
    assert (b"connection", b"close") in sent[0]["headers"]


async def test_requests_are_counted_by_template():
    async with client() as http:
        await http.get("/api/v1/houses/counted")
        await http.get("/surely/not/there")
        await http.request("BREW", "/api/v1/houses")
    text = exposition()[0].decode()
    assert 'count{method="GET",route="/api/v1/houses/{ref}",status="200"}' in text
    assert 'count{method="GET",route="unmatched",status="404"}' in text
    assert 'count{method="OTHER",route="unmatched",status="405"}' in text
    assert "/counted" not in text


async def test_a_lifespan_passes_through():
    seen: list[Any] = []

    async def app(*given: Any) -> None:
        seen.append(given)

    await Edge(app)({"type": "lifespan"}, 1, 2)  # type: ignore[arg-type]
    assert seen == [({"type": "lifespan"}, 1, 2)]


async def conversed(path: str, *closes: int) -> tuple[list[Any], list[Any]]:
    """The scopes and the messages that a socket at this address leads to, below the root path /office."""
    scopes: list[Any] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        scopes.append(scope)
        for code in closes:
            await send({"type": "websocket.close", "code": code})

    async def send(message: Any) -> None:
        sent.append(message)

    raw = path.encode()
    scope = {"type": "websocket", "headers": [], "path": path, "raw_path": raw, "query_string": b""}
    await Edge(app, root_path="/office")(scope, None, send)  # type: ignore[arg-type]
    return scopes, sent


async def test_a_socket_is_introduced_routed_like_a_request_and_leaves_a_line():
    with capture_logs() as lines:
        scopes, sent = await conversed("/office/dialogs/1/ws", 4404)
    assert (scopes[0]["path"], len(scopes[0]["request_id"])) == ("/dialogs/1/ws", 32)
    assert sent == [{"type": "websocket.close", "code": 4404}]
    assert [line["code"] for line in lines] == [4404]


async def test_a_socket_at_no_address_at_all_is_closed():
    assert await conversed("/dialogs/%00/ws") == ([], [{"type": "websocket.close", "code": 4400}])


async def test_undeclared_and_doubled_parameters_are_refused():
    async with client() as http:
        strange = (await http.get("/api/v1/houses?page_siz=3&x=1")).json()
        twice = (await http.get("/api/v1/houses?page_size=3&page_size=4")).json()
        wrong = (await http.get("/api/v1/houses?page_size=many")).json()
        posted = await http.post("/api/v1/houses?dry=true", json={"name": "x"})
    assert (strange["code"], strange["status"]) == ("query.unknown_parameter", 400)
    assert [one["pointer"] for one in strange["errors"]] == ["/page_siz", "/x"]
    assert "`page_size`" in strange["errors"][0]["detail"]
    assert (twice["code"], twice["errors"][0]["pointer"]) == ("query.repeated_parameter", "/page_size")
    assert (wrong["code"], wrong["errors"][0]["pointer"]) == ("query.invalid", "/page_size")
    assert "many" not in repr(wrong["errors"])
    assert posted.json()["code"] == "query.unknown_parameter"


async def test_the_credential_is_judged_before_query_and_body():
    async with client() as http:
        answer = await http.post("/api/v1/houses?x=1", content=b"{", headers={"authorization": "none"})
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"", "application/json", 400, "body.missing"),
        (b'{"name":"x"}', "text/plain", 415, "media_type.unsupported"),
        (b"<a/>", "application/xml", 415, "media_type.unsupported"),
        (b" " * (1 << 20) + b"{}", "application/json", 413, "body.too_large"),
        (b'{"name":1}', "application/json", 400, "body.invalid"),
        (b'{"name":"\xff"}', "application/json", 400, "body.malformed"),
    ],
)
async def test_bad_bodies_get_a_clear_answer(content: bytes, kind: str, status: int, code: str):
    async with client() as http:
        answer = await http.post("/api/v1/houses", content=content, headers={"content-type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_body_of_unknown_length_is_bounded_too():
    async def endless() -> Any:
        for _ in range(40):
            yield b" " * 65536

    async with client() as http:
        answer = await http.post(
            "/api/v1/houses", content=endless(), headers={"content-type": "application/json"}
        )
    assert answer.json()["code"] == "body.too_large"


async def test_a_command_without_fields_takes_no_body_or_an_empty_one():
    async with client() as http:
        form = {"content-type": "application/x-www-form-urlencoded"}
        answers = [
            await http.post("/api/v1/houses/1/sell"),
            await http.post("/api/v1/houses/1/sell", json={}),
            await http.post("/api/v1/houses/1/sell", content=b"", headers=form),
        ]
        more = await http.post("/api/v1/houses/1/sell", json={"x": 1})
    assert [one.status_code for one in answers] == [200, 200, 200]
    assert more.json()["errors"][0]["code"] == "unknown_field"


async def test_routes_that_break_the_rules_stop_the_start():
    @post("/any", gaurds=[on_error])
    async def anything() -> Answer[None]: ...

    with pytest.raises(ImproperlyConfiguredException, match=r"gaurds\n.*takes any body"):
        tiny_app(anything)
