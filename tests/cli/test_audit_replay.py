"""`chancery audit replay` and `diff` as an auditor types them, in a bare directory: exports, and no server."""

import asyncio
import json
import os
from pathlib import Path
from typing import get_type_hints
from uuid import UUID

import msgspec
import pytest
from click.testing import CliRunner, Result

from cli.main import chancery
from domain.contract.events import ContractArchived, ContractDrafted
from domain.shared import Event
from domain.user.events import UserRegistered, UserRoleChanged
from infrastructure.audit.export_file import write_export
from infrastructure.audit.sealed import SEALED, WORD
from infrastructure.audit.selected import Asked
from infrastructure.audit.signed_note import Signer
from infrastructure.event_codec import event_classes, personal_fields
from tests.auditing import LogInMemory, happened

ORIGIN = "chancery.example/audit/1"
SIGNER, STRANGER = Signer(ORIGIN, bytes(range(32))), Signer(ORIGIN, bytes(32))
KEY = ("--key", SIGNER.verifier.vkey())
ADA, DEAL = UUID(int=7), UUID(int=8)


def drafted(title: str) -> ContractDrafted:
    return ContractDrafted(kind="sale", organisation_id=UUID(int=9), title=title, drafted_by=ADA)


def story(title: str = "Light") -> list[bytes]:
    """She registers at 1, drafts at 2, is made an administrator at 3; the contract is archived at 4; then routine."""
    facts: list[Event] = [
        UserRegistered(role="user"),
        drafted(title),
        UserRoleChanged(role="admin"),
        ContractArchived(reason="done"),
    ]
    return happened(
        facts + [UserRoleChanged(role="admin")] * 296, [ADA], [ADA, DEAL, ADA, DEAL, *[ADA] * 296]
    )


@pytest.fixture(autouse=True)
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("CHANCERY_")]:
        monkeypatch.delenv(name)


def written(name: str, leaves: list[bytes], signer: Signer = SIGNER, **asked) -> bytes:
    log = LogInMemory(signer, leaves)
    asyncio.run(write_export(log, Asked(**asked), Path(name), lambda at, end: None))
    return Path(name).read_bytes()


def audit(*words: str | Path) -> Result:
    return CliRunner().invoke(chancery, ["audit", *map(str, words)])


def rows(told: Result) -> list[dict]:
    assert told.exit_code == 0, told.output
    return [json.loads(line) for line in told.stdout.splitlines()]


def test_a_read_model_is_as_it_was_at_a_position_an_instant_or_the_end():
    written("log", story())
    replay = ("replay", "log", *KEY, "--model", "contract")
    (at_end,) = rows(audit(*replay))
    assert (at_end["id"], at_end["title"], at_end["archived_at"]) == (
        str(DEAL),
        "Light",
        "2026-03-01T00:00:03Z",
    )
    for when in ("3", "2026-03-01T00:00:02.5Z", "2026-03-01T03:00:02+03:00", "v1"):
        (row,) = rows(audit(*replay, "--as-of", when))
        assert (row["version"], row["archived_at"]) == (1, None), when
    assert rows(audit(*replay, "--as-of", "1")) == []
    assert rows(audit(*replay, "--id", ADA)) == []
    assert rows(audit(*replay, "--id", DEAL)) == [at_end]


def test_a_read_model_that_needs_more_than_a_fold_is_built_in_a_database_to_throw_away():
    written("log", story())
    (change,) = rows(audit("replay", "log", *KEY, "--model", "permission_change", "--as-of", "2"))
    assert (change["topic"], change["after"]["role"]) == ("user.registered.v1", "user")


def test_history_says_who_and_on_whose_authority():
    written("log", story())
    drafted, archived = rows(audit("replay", "log", *KEY, "--model", "contract", "--id", DEAL, "--history"))
    assert (drafted["position"], archived["position"], archived["reason"]) == (2, 4, "done")
    assert (drafted["actor"], drafted["allowed_by"]) == ({"kind": "user", "id": str(ADA)}, "role:1")


def test_a_right_on_a_day_is_answered_with_what_gave_it():
    written("log", story())
    ask = (
        "replay",
        "log",
        *KEY,
        "--can",
        "contract:sign",
        "--on",
        f"contract/{DEAL}",
        "--subject",
        f"user/{ADA}",
    )
    for when, allowed in (("2", False), ("3", True), ("2026-03-01T00:00:01Z", False)):
        (answer,) = rows(audit(*ask, "--as-of", when))
        assert answer["decision"] is allowed, when
    (answer,) = rows(audit(*ask))
    assert answer["context"]["explain"]["role"]["position"] == 300
    (able,) = rows(
        audit("replay", "log", *KEY, "--who-can", "contract:sign", "--on", "global/*", "--as-of", "3")
    )
    assert (able["subject"]["id"], able["context"]["allowed_by"]) == (str(ADA), "role:admin")
    assert (
        rows(audit("replay", "log", *KEY, "--who-can", "contract:sign", "--on", "global/*", "--as-of", "2"))
        == []
    )


def test_nothing_is_told_of_an_export_that_is_not_sound():
    whole = written("log", story())
    Path("bent").write_bytes(whole.replace(b'"leaf":"WzIs', b'"leaf":"WzMs'))
    Path("cut").write_bytes(whole[: len(whole) // 2])
    for file, code, key in (
        ("bent", 2, SIGNER),
        ("cut", 3, SIGNER),
        ("log", 4, STRANGER),
    ):
        for words in (("replay", file, "--model", "contract"), ("diff", file, "log")):
            told = audit(*words, "--key", key.verifier.vkey())
            assert (told.exit_code, str(DEAL) in told.stdout) == (code, False), (file, words, told.output)
    assert "entry 2:" in audit("replay", "bent", *KEY, "--model", "contract").output
    assert audit("diff", "log", "bent", *KEY).exit_code == 2


def test_what_the_export_does_not_hold_is_not_made_up():
    written("log", story())
    for when in ("301", "99999999999"):
        told = audit("replay", "log", *KEY, "--model", "contract", "--as-of", when)
        assert (told.exit_code, "the export ends at entry 300" in told.output) == (3, True), told.output
    early = ("--as-of", "2001-01-01T00:00:00Z")
    ask = ("--can", "user:view", "--on", "global/*", "--subject", f"user/{ADA}")
    assert audit("replay", "log", *KEY, *ask, *early).exit_code == 3
    written("some", story(), first=2)
    told = audit("replay", "some", *KEY, "--model", "contract")
    assert (told.exit_code, "needs every entry from the first" in told.output) == (3, True)


@pytest.mark.parametrize(
    "words",
    [
        ("replay", "log"),
        ("replay", "log", "--model", "contract", "--can", "user:view"),
        ("replay", "log", "--model", "nothing"),
        ("replay", "log", "--model", "contract", "--history"),
        ("replay", "log", "--model", "contract", "--as-of", "yesterday"),
        ("replay", "log", "--can", "user:view", "--on", "global/*"),
        ("replay", "log", "--can", "user:view", "--on", "global", "--subject", "user/1"),
        ("replay", "log", "--can", "user:view", "--on", "global/*", "--subject", "user/anna"),
        ("replay", "log", "--who-can", "user:view"),
        ("replay", "log", "--who-can", "user:view", "--on", "global/*", "--as-of", "v3"),
        ("diff", "log"),
        ("diff", "log", "log", "--model", "contract", "--id", str(DEAL), "--from", "1"),
        ("diff", "log", "--model", "ledger", "--id", str(DEAL), "--from", "1"),
        ("diff", "log", "nowhere"),
    ],
)
def test_what_makes_no_sense_is_said(words):
    written("log", story())
    told = audit(*words)
    assert told.exit_code == 2, told.output
    assert "Traceback" not in told.output
    assert told.exception is None or isinstance(told.exception, SystemExit)


def test_diff_names_what_one_export_has_that_the_other_has_not():
    written("old", story()[:298])
    written("new", story())
    told = audit("diff", "old", "new", *KEY)
    assert told.exit_code == 0, told.output
    assert [line.split()[:2] for line in told.stdout.splitlines()[:2]] == [[">", "299"], [">", "300"]]
    assert f"user.role_changed.v1 {ADA} v298 by user/{ADA}" in told.stdout
    assert told.stdout.endswith("0 only in the first, 2 only in the second\n")
    assert audit("diff", "new", "old", *KEY).stdout.endswith("2 only in the first, 0 only in the second\n")
    assert audit("diff", "new", "new", *KEY).stdout == "0 only in the first, 0 only in the second\n"
    written("some", story(), first=100, last=298)
    assert "99 only in the first, 0 only in the second" in audit("diff", "old", "some", *KEY).stdout


def test_diff_names_a_fork():
    written("one", story())
    written("other", [*story()[:200], *story("Dark")[200:299]])
    written("forked", story("Dark"))
    told = audit("diff", "one", "forked", *KEY)
    assert told.exit_code == 2
    assert "FORK: at entry 2 there are two histories, signed by " + SIGNER.verifier.vkey() in told.stdout
    assert told.stdout.count("! 2 ") == 2
    assert audit("diff", "one", "other", *KEY).exit_code == 0


def test_diff_tells_what_changed_of_one_record():
    written("log", story())
    change = ("diff", "log", *KEY, "--model", "contract", "--id", DEAL, "--from", "2")
    (told,) = rows(audit(*change))
    assert (told["from"], told["to"]) == (1, 2)
    assert told["changes"] == [{"field": "archived_at", "from": None, "to": "2026-03-01T00:00:03Z"}]
    (told,) = rows(audit(*change, "--to", "3"))
    assert told["changes"] == []
    assert audit(*change, "--to", "301").exit_code == 3


def test_each_personal_field_can_read_sealed():
    found = 0
    for event in event_classes().values():
        for field in personal_fields(event):
            key = SEALED[ADA]
            opened = key.open("", ADA.bytes + (1).to_bytes(8, "big") + field.encode())
            assert WORD in str(msgspec.json.decode(opened, type=get_type_hints(event)[field]))
            found += 1
    assert found > 20
