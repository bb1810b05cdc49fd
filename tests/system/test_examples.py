"""The examples of the docs, each run as its reader would, against a whole Chancery."""

import subprocess
import sys
from pathlib import Path

import pytest

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
