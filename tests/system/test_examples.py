"""The examples of the docs, each run as its reader would, against a whole Chancery."""

import signal
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from infrastructure.embedded.children import wait_until
from infrastructure.settings_sources import running_stack
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


@pytest.fixture(scope="module")
def contract(chancery):
    """The id of a signed one whose amount was amended, which was paid, and last invoiced; and that position."""
    with chancery.signed_in() as admin:

        def done(path: str, **body) -> dict:
            answer = admin.post(path, json=body, headers={"Idempotency-Key": str(uuid4())})
            return answer.raise_for_status().json()

        place = done("/organisations", full_name="Alpha")["id"]
        euros = {"amount": "100.00", "currency": "EUR"}
        made = done("/contracts", kind="sale", organisation_id=place, title="Light", amount=euros)["id"]
        done(f"/contracts/{made}/sign")
        done(f"/contracts/{made}/amend", amount=euros | {"amount": "90.00"}, reason="Less")
        for _ in range(2):
            done(f"/contracts/{made}/payments", amount=euros | {"amount": "30.00"}, paid_on="2026-03-01")
        invoice = done(f"/contracts/{made}/invoices", amount=euros | {"amount": "90.00"})
    return made, invoice["position"]


def test_a_contract_is_replayed_over_the_packages_own_recorder(chancery, contract):
    contract, _ = contract
    url = running_stack(chancery.data_dir)["database_url"]
    lines = run("replay_contract.py", chancery, contract, DATABASE_URL=url).splitlines()
    assert [line.split()[:2] for line in lines[:3]] == [
        ["v1", "unsigned"],
        ["v2", "signed"],
        ["v3", "signed"],
    ]
    assert '"amount": "90.00"' in lines[2]
    assert len(lines) == 6
    assert run("replay_contract.py", chancery, contract, "1", DATABASE_URL=url) == lines[0] + "\n"


def test_money_is_replayed_from_an_export_alone(chancery, contract, tmp_path):
    file, (_, position) = tmp_path / "log.ndjson", contract
    with chancery.signed_in() as admin:
        assert wait_until(lambda: signed_size(admin) >= position, whole.END)
    chancery.run("audit", "export", str(file))
    assert run("replay_money.py", chancery, str(file)) == "EUR paid 60.00 invoiced 90.00\n"
    assert run("replay_money.py", chancery, str(file), str(position - 1)) == "EUR paid 60.00 invoiced 0\n"


def signed_size(admin) -> int:
    answer = admin.get("/audit/checkpoint")
    return int(answer.text.split("\n")[1]) if answer.status_code == 200 else 0


def run(name: str, chancery: whole.Chancery, *words: str, **settings: str) -> str:
    """What it printed; secrets reach it by the environment alone."""
    environ = whole.ENVIRONMENT | settings
    environ |= {
        "CHANCERY_URL": chancery.url,
        "CHANCERY_ADMIN_EMAIL": whole.ADMIN,
        "CHANCERY_ADMIN_PASSWORD": whole.PASSWORD,
    }
    command = [sys.executable, str(EXAMPLES / name), *words]
    done = subprocess.run(
        command, env=environ, capture_output=True, text=True, timeout=whole.END, check=False
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert whole.PASSWORD not in done.stdout
    return done.stdout
