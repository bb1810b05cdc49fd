"""The proxy does to a connection what it says, and nothing else."""

import asyncio
import socket

import pytest

from infrastructure.embedded.children import wait_until
from tests.rig.edge import SYNC, WRITER, Edges, Mode

SOON = 20


class Server:
    """Behind an edge; answers every piece with itself, unless mute. `heard`: all that came; `left`: who has gone."""

    def __init__(self, edges: Edges) -> None:
        self.heard, self.left, self.mute = bytearray(), 0, False
        self._tasks = set()
        listening = edges.run(asyncio.start_server(self._let_in, "127.0.0.1", 0))
        self.edge = edges.add("to the server", 0, listening.sockets[0].getsockname()[1])
        edges.close_too(listening)

    def _let_in(self, reader, writer):
        self._tasks.add(task := asyncio.create_task(self._serve(reader, writer)))
        task.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, reader, writer):
        try:
            while data := await reader.read(1 << 16):
                self.heard += data
                if self.mute:
                    continue
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            self.left += 1

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.edge.port), SOON)


@pytest.fixture
def server():
    edges = Edges()
    yield Server(edges)
    edges.close()


def asked(client, what=b"hello"):
    client.sendall(what)
    return client.recv(1 << 16)


def silent(client) -> bool:
    """It is not told anything, not even of an end."""
    client.setblocking(False)
    try:
        client.recv(1)
    except BlockingIOError:
        return True
    finally:
        client.settimeout(SOON)
    return False


def gone(client) -> bool:
    try:
        return client.recv(1) == b""
    except ConnectionResetError:
        return True


def test_it_passes_what_comes(server):
    with server.connect() as client:
        assert asked(client) == b"hello"


def test_a_cut_ends_what_is_open_and_lets_nobody_in_before_it_heals(server):
    with server.connect() as client:
        asked(client)
        with server.edge.doing(Mode.CUT):
            assert gone(client)
            with server.connect() as another:
                assert gone(another)
        assert server.edge.cuts[Mode.CUT] == 1
    with server.connect() as client:
        assert asked(client) == b"hello"


def test_a_black_hole_keeps_everything_and_gives_it_back(server):
    with server.connect() as client:
        with server.edge.doing(Mode.SWALLOW):
            client.sendall(b"hello")
            with server.connect() as another:
                another.sendall(b"there")
            assert silent(client)
            assert not server.heard
        assert client.recv(5) == b"hello"


def test_a_black_hole_for_answers_lets_the_question_through(server):
    with server.connect() as client:
        with server.edge.doing(Mode.SWALLOW_ANSWERS):
            client.sendall(b"hello")
            assert wait_until(lambda: server.heard == b"hello", SOON)
            assert silent(client)
        assert client.recv(5) == b"hello"


def test_a_half_open_connection_ends_at_the_server_and_its_client_learns_of_it_when_it_heals(server):
    with server.connect() as client:
        asked(client)
        with server.edge.doing(Mode.HALF_OPEN):
            assert wait_until(lambda: server.left == 1, SOON)
            client.sendall(b"is anybody there?")
            with server.connect() as another:
                another.sendall(b"and here?")
                assert silent(another)
            assert silent(client)
        assert gone(client)
        assert b"is anybody" not in server.heard  # what another one said may come, late
    with server.connect() as client:
        assert asked(client) == b"hello"


@pytest.mark.parametrize("mode", [Mode.CUT_AFTER_COMMIT, Mode.CUT_NEXT_COMMIT])
def test_a_writer_is_cut_when_its_commit_has_come_through_and_another_client_is_not(server, mode):
    with server.connect() as client, server.connect() as writer:
        asked(writer, b"user\0" + WRITER)
        server.edge.set(mode)
        assert asked(client, b"query" + SYNC) == b"query" + SYNC
        writer.sendall(b"append" + SYNC)
        assert gone(writer)
        assert server.heard.endswith(b"append" + SYNC)
        assert server.edge.cuts[Mode.CUT_AFTER_COMMIT] == 1
    with server.connect() as writer:
        writer.sendall(WRITER + SYNC)
        if mode is Mode.CUT_NEXT_COMMIT:
            assert writer.recv(1 << 16) == WRITER + SYNC
        else:
            assert gone(writer)


def test_what_trickles_arrives_whole_and_is_seen_to_be_on_its_way(server):
    large, server.mute, server.edge.delay = bytes(30_000), True, 0.05
    with server.edge.doing(Mode.TRICKLE), server.connect() as client:
        client.sendall(large)
        assert wait_until(lambda: 0 < server.edge.longest < len(large), SOON)
        assert wait_until(lambda: server.edge.longest == len(large), SOON)
        assert wait_until(lambda: server.heard == large, SOON)
