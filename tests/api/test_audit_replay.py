"""What an auditor replays from an export alone is what the office knew: every read model, every record, every right."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from uuid import UUID, uuid4

import httpx
import msgspec
import pytest

from api.queries.explained import told
from api.queries.past import moment
from application.evaluation import Evaluations, Thing
from infrastructure.audit.export import DatabaseSource
from infrastructure.audit.export_file import write_export
from infrastructure.audit.replay import NotWhole, Replay, Rights
from infrastructure.audit.replay_rows import applied, folded
from infrastructure.audit.report import Report, Verdict
from infrastructure.audit.selected import Asked
from infrastructure.audit.selection import Selection
from infrastructure.audit.verify_file import examined
from infrastructure.personal_data import Vault, Wrapping
from infrastructure.postgres import connect
from projections.projection import Fold, discover
from tests import money
from tests.api.test_grant import given
from tests.office import Office, Person
from workers.signer import sign_once

pytestmark = pytest.mark.anyio

ORIGIN = "chancery.example/audit/1"


@dataclass
class Story:
    office: Office
    file: Path
    anna: Person
    zoe: Person
    contract: str
    organisation: str
    signed_at: int
    """The position of the signature."""

    @property
    def lines(self) -> list[bytes]:
        return self.file.read_bytes().splitlines(keepends=True)

    def replay(self, **more) -> Replay:
        return Replay(BytesIO(self.file.read_bytes()), examined(self.lines), **more)


async def done(client: httpx.AsyncClient, path: str, **body) -> dict:
    answer = await client.post(path, json=body, headers=money.key())
    assert answer.status_code in (200, 201), answer.text
    return answer.json()


@pytest.fixture(scope="module")
async def story(office, tmp_path_factory) -> Story:
    """An office at work: an agreement, money, letters, a dialog, rights given and taken, somebody forgotten."""
    admin = office.admin
    anna, zoe = await office.user(first_name="Anna"), await office.user(first_name="Zoe", last_name="Zimt")
    place = await office.organisation(
        management={"position": "CEO", "name": "Ada"}, region_code="77", account_manager_id=str(anna.id)
    )
    contract = await money.signed(office, "1000.00", organisation=place, custom_id="Audited-1")
    signed_at = await office.head()
    await money.pay(admin, contract, money.euros("300.00"))
    await money.invoice(admin, contract, money.euros("500.00"))
    await done(admin, f"{contract}/amend", amount=money.euros("900.00"), reason="Less work")
    await money.drafted(office, "20.00", organisation=place)
    view = await given(admin, anna.id, "contract:view")
    edit = await given(admin, anna.id, "contract:edit", ("organisation", place.rsplit("/", 1)[1]))
    await done(admin, f"/grants/{view['id']}/revoke", reason="She left.")
    assert edit["id"] != view["id"]
    dialog = await done(zoe.client, "/dialogs", user_id=str(anna.id))
    for text in ("Hello", "Are you there?"):
        await done(zoe.client, f"/dialogs/{dialog['id']}/messages", text=text)
    await done(admin, f"{place}/contacts", first_name="Cleo", last_name="Cot")
    await done(admin, f"/users/{zoe.id}/erase", reason="Asked for it")
    file = tmp_path_factory.mktemp("replay") / "log.ndjson"
    async with await connect(office.addresses.app) as connection:
        head = {"X-Min-Position": str(await office.head())}
        (await admin.get("/audit/entries", headers=head)).raise_for_status()
        await sign_once(connection, Wrapping(bytes(32)), ORIGIN)
        await write_export(DatabaseSource(connection), Asked(), file, lambda at, end: None)
    return Story(office, file, anna, zoe, contract, place, signed_at)


def always(_) -> bool:
    return True


async def keys_of(story: Story):
    """Everybody's key, as the key store has it."""
    subjects = {each.stream_id for each in story.replay().stored()}
    async with story.office.system.pool.connection() as connection:
        rows = await connection.execute("select subject_id from subject_keys")
        subjects |= {subject for (subject,) in await rows.fetchall()}
    return await Vault(story.office.system.pool, story.office.system.wrapping).to_open(subjects)


async def live(story: Story, table: str) -> list[bytes]:
    async with story.office.system.pool.connection() as connection:
        rows = await connection.execute(f'select view from read."{table}" order by id')
        return [view for (view,) in await rows.fetchall()]


async def test_the_rows_of_a_fold_are_those_that_people_saw_to_the_byte(story):
    keys = await keys_of(story)
    folds = [model for model in discover().values() if isinstance(model, Fold) and model.pure]
    assert len(folds) > 15
    for model in folds:
        rows = list(folded(story.replay(keys=keys), model, always))
        assert rows == await live(story, model.name), model.name
        if model.name in {"user", "contract", "payment", "invoice", "grant", "session", "contact", "dialog"}:
            assert rows


async def test_a_read_model_that_is_more_than_a_fold_is_built_by_its_own_hand(story, owner_dsn):
    for name in ("organisation", "ledger", "message"):
        replay = story.replay(keys=await keys_of(story))
        rows = [row async for row in applied(owner_dsn, replay, discover()[name], always)]
        assert rows == await live(story, name), name
        assert rows
        async with await connect(owner_dsn) as connection:
            await connection.execute("drop schema replayed cascade")


async def test_personal_fields_read_sealed_until_their_person_was_forgotten(story):
    def user(who, until=always):
        (row,) = folded(story.replay(), discover()["user"], until, who)
        return msgspec.json.decode(row)

    assert (user(story.anna.id)["first_name"], user(story.anna.id)["email"]) == ("sealed", "sealed")
    before = user(story.zoe.id, moment(str(story.signed_at)))
    assert (before["last_name"], before["state"]) == ("sealed", "active")
    assert (user(story.zoe.id)["last_name"], user(story.zoe.id)["state"]) == (None, "erased")
    (dialog,) = folded(story.replay(), discover()["dialog"], always)
    assert msgspec.json.decode(dialog)["last_message"]["text"] is None


async def test_a_record_is_told_as_the_api_tells_it_as_of_any_moment(story):
    record = UUID(story.contract.rsplit("/", 1)[1])
    history = (await story.office.admin.get(f"{story.contract}/history")).json()["data"]
    for entry in history:
        for when in (str(entry["position"]), entry["at"], f"v{entry['version']}"):
            shown = await story.office.admin.get(story.contract, params={"as_of": when})
            rows = list(folded(story.replay(), discover()["contract"], moment(when), record))
            assert [msgspec.json.decode(row) for row in rows] == [shown.json()], when
    assert not list(folded(story.replay(), discover()["contract"], moment("1"), record))


async def test_a_right_is_answered_as_the_office_answers_it(story):
    contract = story.contract.rsplit("/", 1)[1]
    place = story.organisation.rsplit("/", 1)[1]
    things = [
        ("contract", contract),
        ("contract", "audited-1"),
        ("contract", "never"),
        ("organisation", place),
        ("global", "*"),
        ("user", str(story.anna.id)),
    ]
    asked = 0
    for position in (story.signed_at, await story.office.head() - 1):
        at = story.replay().moment(moment(str(position)))
        rights = Rights(story.replay(), at)
        for who in (story.anna, story.zoe):
            for right in ("contract:view", "contract:edit", "user:view"):
                for kind, name in things:
                    found = await Evaluations(rights, rights).decide(
                        "user", who.id, right, Thing(type=kind, id=name), at, explain=True
                    )
                    answer = await story.office.admin.post(
                        "/access/v1/evaluation",
                        json={
                            "subject": {"type": "user", "id": str(who.id)},
                            "action": {"name": right},
                            "resource": {"type": kind, "id": name},
                            "context": {"as_of": position, "explain": True},
                        },
                    )
                    assert answer.json() == msgspec.to_builtins(told(found, explain=True)), (
                        position,
                        who,
                        right,
                        kind,
                    )
                    asked += found.decision.allowed
    assert asked


async def test_who_could_is_answered_too(story):
    at = story.replay().moment(moment(str(story.signed_at)))
    rights = Rights(story.replay(), at)
    for right in ("user:view", "contract:sign"):
        able, _ = await Evaluations(rights, rights).who_can(
            "user", right, Thing(type="global", id="*"), at, after=None, limit=1_000
        )
        answer = await story.office.admin.post(
            "/access/v1/search/subject",
            json={
                "subject": {"type": "user"},
                "action": {"name": right},
                "resource": {"type": "global", "id": "*"},
                "context": {"as_of": story.signed_at},
                "page": {"limit": 100},
            },
        )
        assert [str(each.subject) for each in able] == [each["id"] for each in answer.json()["results"]]


async def test_what_is_no_whole_log_is_not_replayed(story):
    async with await connect(story.office.addresses.app) as connection:
        for asked, works in (
            (Asked(filters=Selection(topic=("contract",))), False),
            (Asked(first=2), False),
            (Asked(last=story.signed_at), True),
        ):
            file = story.file.with_name(str(uuid4()))
            await write_export(DatabaseSource(connection), asked, file, lambda at, end: None)
            report: Report = examined(file.read_bytes().splitlines(keepends=True))
            assert report.verdict is Verdict.OK
            if works:
                replay = Replay(BytesIO(file.read_bytes()), report)
                (row,) = folded(replay, discover()["contract"], always)
                assert msgspec.json.decode(row)["status"] == "signed"
            else:
                with pytest.raises(NotWhole):
                    Replay(BytesIO(file.read_bytes()), report)
