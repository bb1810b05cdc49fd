"""Under load everything is frozen, cut off or killed in turn; what was answered is in the log, once, and all agrees."""

import itertools
import json
import signal
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import uuid4

import httpx
import pytest

from infrastructure.embedded.children import end, wait_until
from tests import servers, whole

PATIENCE = 60
CLERKS = 4


@pytest.fixture(scope="module")
def chancery():
    with whole.up(servers.place("crash")) as running:
        yield running


@pytest.fixture(scope="module")
def admin(chancery):
    with chancery.signed_in() as client:
        yield client


class Ledger:
    """Clerks who register one society after another, each under a key of its own, and write down what they meant
    and what they were told. Most ask until they are answered; every tenth gives up when it is cut off."""

    def __init__(self, chancery, admin) -> None:
        self.answered: dict[str, dict] = {}
        self.given_up: set[str] = set()
        self.told = Counter()
        self._chancery, self._headers = chancery, dict(admin.headers)
        self._enough, self._lost = threading.Event(), threading.Event()
        self._clerks = [threading.Thread(target=self._register, daemon=True) for _ in range(CLERKS)]

    def __enter__(self):
        for clerk in self._clerks:
            clerk.start()
        self.goes_on()
        return self

    def __exit__(self, kind, *_):
        self._enough.set()
        if kind is not None:
            self._lost.set()
        for clerk in self._clerks:
            clerk.join(PATIENCE)
            assert not clerk.is_alive()
        strange = self.told.keys() - {201, 503, "cut off"}
        assert not strange, self.told

    def goes_on(self, more: int = 20) -> None:
        """Returns when so many more were answered."""
        wanted = len(self.answered) + more
        assert wait_until(lambda: len(self.answered) >= wanted, PATIENCE), self.told

    @property
    def position(self) -> int:
        return max(each["position"] for each in list(self.answered.values()))

    def _register(self) -> None:
        with self._chancery.client() as client:
            client.headers = self._headers
            for number in itertools.count(1):
                if not self._ask(client, uuid4().hex, hasty=number % 10 == 0) or self._enough.is_set():
                    return

    def _ask(self, client, name, *, hasty) -> bool:
        while not self._lost.is_set():
            try:
                answer = client.post(
                    "/organisations", json={"full_name": name}, headers={"Idempotency-Key": name}
                )
            except httpx.TransportError:
                self.told["cut off"] += 1
                if hasty:
                    self.given_up.add(name)
                    return True
                self._enough.wait(0.02)
                continue
            self.told[answer.status_code] += 1
            if answer.status_code == 503 and answer.headers["Retry-After"] == "1":
                self._enough.wait(0.2)
            elif answer.status_code == 201:
                self.answered[name] = answer.json()
                return True
            else:
                self.told[answer.text] += 1
                return False
        return False


def readable(admin, ledger) -> bool:
    """Whether the read model shows what was answered last."""
    name, newest = max(ledger.answered.copy().items(), key=lambda each: each[1]["position"])
    answer = admin.get(f"/organisations/{newest['id']}", headers={"X-Min-Position": str(newest["position"])})
    if answer.status_code == 503:
        assert answer.headers["Retry-After"] == "1"
        return False
    assert answer.json()["full_name"] == name
    return True


def parts(chancery) -> dict[str, bool]:
    return {part["name"]: part["ok"] for part in chancery.ready().json()["parts"]}


def test_commands_and_reads_go_on_while_nats_redis_and_s3_say_nothing(chancery, admin):
    with Ledger(chancery, admin) as ledger:
        with chancery.frozen("nats", "redis", "s3"):
            ledger.goes_on()
            assert wait_until(lambda: readable(admin, ledger), PATIENCE), "from the store, then"
            assert wait_until(
                lambda: not any(parts(chancery)[name] for name in ("nats", "redis", "s3")), PATIENCE
            )
            assert chancery.ready().status_code == 200
        assert wait_until(lambda: all(parts(chancery).values()), PATIENCE)
        ledger.goes_on()
        assert wait_until(lambda: readable(admin, ledger), PATIENCE)
    assert set(ledger.told) == {201}


def test_a_database_that_is_away_is_told_and_comes_back_by_itself(chancery, admin):
    with Ledger(chancery, admin) as ledger:
        with chancery.frozen("up"):  # who would start it again at once
            end(chancery.pid("postgres"), signal.SIGQUIT)
            some = f"/organisations/{next(iter(ledger.answered.values()))['id']}"
            assert wait_until(lambda: admin.get(some).status_code == 503, PATIENCE)
            assert admin.get(some).headers["Retry-After"] == "1"
            assert wait_until(lambda: chancery.ready().status_code == 503, PATIENCE)
        ledger.goes_on()
        assert wait_until(lambda: readable(admin, ledger), PATIENCE)
        assert wait_until(lambda: chancery.ready().status_code == 200, PATIENCE)


def test_whatever_is_killed_what_was_answered_is_there_once(chancery, admin):
    def cut_off() -> None:
        with chancery.superuser() as database:
            database.execute(
                "select pg_terminate_backend(pid) from pg_stat_activity"
                " where datname = current_database() and pid <> pg_backend_pid()"
            )

    def kill_http_worker() -> None:
        for pid in chancery.http_workers():
            end(pid, signal.SIGKILL)

    with Ledger(chancery, admin) as ledger:
        for blow in (
            kill_http_worker,
            lambda: chancery.kill("work"),
            lambda: chancery.kill("jobs"),
            lambda: chancery.kill("nats"),
            cut_off,
            lambda: chancery.kill("serve"),
            lambda: chancery.kill("postgres", signal.SIGQUIT),
        ):
            blow()
            ledger.goes_on()
    assert ledger.told["cut off"] > 0
    said = chancery.log.read_text()
    for name in ("work", "jobs", "nats", "serve", "postgres"):
        assert f"{name} ended " in said
    assert wait_until(lambda: readable(admin, ledger), PATIENCE)
    assert wait_until(lambda: all(parts(chancery).values()), PATIENCE), chancery.ready().text
    the_log_holds_each_answer_once(chancery, ledger)
    before = every_organisation(admin)
    everything_agrees(chancery)
    assert every_organisation(admin) == before


def test_a_revocation_is_there_whole_or_not_at_all_when_the_database_dies_amid_it(chancery):
    """Of each person a right is revoked and all sessions are ended, again and again until it is answered."""
    with chancery.signed_in() as admin:
        people = [somebody(admin) for _ in range(CLERKS)]
        wanted = [(f"/grants/{person['grant']}/revoke", f"/users/{person['id']}/block") for person in people]
        with ThreadPoolExecutor(2 * CLERKS) as threads:
            asked = [threads.submit(insist, admin, path) for paths in wanted for path in paths]
            chancery.kill("postgres", signal.SIGQUIT)
            assert {each.result(PATIENCE) for each in asked} == {200}
        for person in people:
            assert events(admin, f"/grants/{person['grant']}") == ["grant.given.v1", "grant.revoked.v1"]
            assert events(admin, f"/users/{person['id']}") == ["user.registered.v1", "user.blocked.v1"]
            assert admin.get("/me", headers=person["token"]).status_code == 401
    chancery.run("guards", "verify")


def somebody(admin) -> dict:
    """A new user with a right and a session."""
    body = {"email": f"{uuid4()}@example.org", "first_name": "A", "last_name": "B"}
    made = admin.post("/users", json=body).raise_for_status().json()
    login = {"login": body["email"], "password": made["temporary_password"]}
    pair = admin.post("/auth/login", json=login, headers={"Authorization": ""}).raise_for_status().json()
    given = admin.post(
        "/grants",
        json={
            "subject": {"type": "user", "id": made["id"]},
            "scope_type": "global",
            "scope_id": "*",
            "module": "organisation",
            "action": "view",
        },
    )
    token = {"Authorization": f"Bearer {pair['access_token']}"}
    return {"id": made["id"], "grant": given.raise_for_status().json()["id"], "token": token}


def insist(admin, path) -> int:
    """Asks with one key until there is an answer."""
    pause, key = threading.Event(), {"Idempotency-Key": uuid4().hex}
    for _ in range(20 * PATIENCE):
        answer = admin.post(path, json={"reason": "Leaves."}, headers=key)
        if answer.status_code != 503:
            return answer.status_code
        pause.wait(0.05)
    raise TimeoutError(path)


def events(admin, record) -> list[str]:
    """The topics of its history, oldest first, as soon as it has two."""

    def history() -> list[str]:
        answer = admin.get(f"{record}/history")
        return [each["topic"] for each in answer.json().get("data", [])]

    assert wait_until(lambda: len(history()) >= 2, PATIENCE)
    return sorted(history(), key=lambda topic: topic.endswith(("revoked.v1", "blocked.v1")))


def the_log_holds_each_answer_once(chancery, ledger) -> None:
    with chancery.superuser() as database:
        rows = database.execute(
            "select notification_id, originator_id::text, originator_version, topic, state"
            " from stored_events order by notification_id"
        ).fetchall()
    assert [position for position, *_ in rows] == list(range(1, len(rows) + 1))
    heads = Counter()
    for _, stream, version, _, _ in rows:
        heads[stream] += 1
        assert version == heads[stream]
    added = [
        (json.loads(state)["full_name"], {"id": stream, "version": version, "position": position})
        for position, stream, version, topic, state in rows
        if topic == "organisation.added.v1"
    ]
    stored = dict(added)
    assert len(stored) == len(added), "no intent twice"
    for name, answer in ledger.answered.items():
        assert stored[name] == {each: answer[each] for each in ("id", "version", "position")}


def everything_agrees(chancery) -> None:
    status = json.loads(chancery.run("projections", "status", "--json"))
    assert {(each["lag"], each["failure"], each["active"]) for each in status.values()} == {(0, None, True)}
    assert "DIFFERENT" not in chancery.run("projections", "rebuild", "--all")
    chancery.run("projections", "verify")
    chancery.run("guards", "verify")
    assert "ok: " in chancery.run("audit", "verify", "--live")


def every_organisation(admin) -> list:
    found, more = [], {}
    while more is not None:
        page = admin.get("/organisations", params={"page_size": 100, **more}).raise_for_status().json()
        found += page["data"]
        more = {"page_token": page["next_page_token"]} if page["has_more"] else None
    return found
