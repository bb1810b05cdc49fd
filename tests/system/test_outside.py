"""Chancery on servers that others run: PostgreSQL, NATS, Redis and S3 by address, two of each process, no folder."""

import signal
import subprocess
from uuid import uuid4

import httpx
import psycopg
import pytest

from infrastructure.embedded.children import end, wait_until
from tests import servers
from tests.outside import CHANCERY, Outside, free_port, ready, said, took_the_relay
from tests.whole import ADMIN, PASSWORD

PATIENCE = 60
PASSED_ON = 10
"""Seconds after which another worker has certainly taken over."""


@pytest.fixture
def outside():
    place = servers.place("outside")
    place.mkdir(mode=0o711)
    running = Outside(place)
    yield running
    running.stop()


def operations_done(url: str) -> bool:
    with psycopg.connect(url) as connection:
        states = "select distinct state from operations where run_at <= clock_timestamp()"
        return connection.execute(states).fetchall() == [("done",)]


def found(client: httpx.Client, path: str, position: int) -> bool:
    return client.get(path, headers={"X-Min-Position": str(position)}).status_code == 200


def test_everything_runs_on_servers_of_others_two_by_two(outside, redis_url):
    environment = outside.environment(redis_url)
    owner = environment | {"CHANCERY_DATABASE_OWNER_URL": outside.owner_url}
    done = subprocess.run([*CHANCERY, "migrate"], env=owner, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "Bucket letters made" in done.stderr

    ports = [free_port(), free_port()]
    for port in ports:
        outside.start(environment | {"CHANCERY_PORT": str(port)}, "serve")
    workers = [outside.start(environment, "work") for _ in range(2)]
    outside.start(environment, "jobs")
    assert wait_until(lambda: all(map(ready, ports)), PATIENCE), [
        said(each)[-2000:] for each in outside.began
    ]

    one, other = [httpx.Client(base_url=f"http://127.0.0.1:{port}/api/v1", timeout=30) for port in ports]
    with one, other:
        token = one.post("/auth/login", json={"login": ADMIN, "password": PASSWORD}).json()["access_token"]
        for client in (one, other):
            client.headers["Authorization"] = f"Bearer {token}"

        written = one.post("/organisations", json={"full_name": "Elsewhere"})
        assert written.status_code == 201, written.text
        path, position = f"/organisations/{written.json()['id']}", written.json()["position"]
        assert wait_until(lambda: found(other, path, position), PATIENCE)
        file = other.post("/files", files={"file": ("note.txt", uuid4().hex.encode())})
        assert file.status_code == 201, file.text
        position = file.json()["position"]
        assert wait_until(lambda: found(one, f"/files/{file.json()['id']}/content", position), PATIENCE)
        assert wait_until(lambda: operations_done(outside.database_url), PATIENCE), said(outside.began[-1])

        leader = next(each for each in workers if took_the_relay(each))
        end(leader.pid, signal.SIGKILL)
        assert wait_until(leader.died, 5)
        written = other.post("/organisations", json={"full_name": "Afterwards"})
        path, position = f"/organisations/{written.json()['id']}", written.json()["position"]
        assert wait_until(lambda: found(one, path, position), PASSED_ON)

    with psycopg.connect(outside.database_url, autocommit=True) as app:
        for forbidden in (
            "delete from stored_events",
            "update claims set value = ''",
            "create table mine ()",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                app.execute(forbidden)

    for child in (each for each in outside.began if each is not leader):
        assert child.stop(20) == 0, said(child)[-2000:]
    assert not (outside.place / "nothing" / "run").exists()
