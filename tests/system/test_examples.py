"""The examples of the docs, each run as its reader would, against a whole Chancery."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infrastructure.embedded.children import wait_until
from tests import servers, whole

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


@pytest.fixture(scope="module")
def chancery():
    with whole.up(servers.place("examples"), CHANCERY_REGISTRATION="open") as running:
        yield running


def test_an_account_lives_through_thirteen_steps(chancery):
    told = run("account_scenario.py", chancery)
    steps = [line.partition(". ")[2] for line in told.splitlines()]
    assert len(steps) == 13, told
    answers = [step.partition(": ")[2] for step in steps]
    assert [int(answer[:3]) for answer in answers] == [
        *(201, 200, 200, 200, 200, 204),
        *(401, 200, 200, 403, 200, 200, 200),
    ]
    assert answers[6] == "401 invalid_bearer_token"
    assert answers[9].startswith("403 auth.account_")


def test_a_consumer_of_permissions_hears_of_a_revocation(chancery):
    with chancery.signed_in() as admin:
        body = {"email": "ada@example.org", "first_name": "Ada", "last_name": "Byron"}
        ada = admin.post("/users", json=body).raise_for_status().json()["id"]
        reader = admin.post("/api-clients", json={"name": "A reader"}).raise_for_status().json()
        given = admin.post(
            "/grants",
            json={
                "subject": {"type": "user", "id": ada},
                "scope_type": "global",
                "scope_id": "*",
                "module": "contract",
                "action": "sign",
            },
        )
        grant = given.raise_for_status().json()["id"]
        keys = {"CHANCERY_CLIENT_KEY": reader["client_key"], "CHANCERY_API_KEY": reader["api_key"]}
        command = [sys.executable, str(EXAMPLES / "permission_consumer.py"), ada, "contract:sign"]
        environ = whole.ENVIRONMENT | {"CHANCERY_URL": chancery.url} | keys
        told = servers.place("told")
        with (
            told.open("w") as out,
            subprocess.Popen(command, env=environ, stdout=out, stderr=out) as consumer,
        ):

            def says(line: str) -> bool:
                return wait_until(
                    lambda: f"{ada} {line}\n" in told.read_text() or consumer.poll() is not None, whole.END
                )

            try:
                assert says("may contract:sign")
                admin.post(f"/grants/{grant}/revoke", json={"reason": "Leaves."}).raise_for_status()
                assert says("may not contract:sign")
            finally:
                consumer.send_signal(signal.SIGINT)
                assert consumer.wait(whole.END) == 0, told.read_text()
    assert told.read_text() == f"{ada} may contract:sign\n{ada} may not contract:sign\n"


def run(name: str, chancery: whole.Chancery) -> str:
    """What it printed; secrets reach it by the environment alone."""
    environ = whole.ENVIRONMENT | {
        "CHANCERY_URL": chancery.url,
        "CHANCERY_ADMIN_EMAIL": whole.ADMIN,
        "CHANCERY_ADMIN_PASSWORD": whole.PASSWORD,
    }
    command = [sys.executable, str(EXAMPLES / name)]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=whole.END, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert whole.PASSWORD not in done.stdout
    return done.stdout
