"""The how-tos, block by block, as their readers paste them: against one Chancery with a real provider."""

import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
from anyio.from_thread import start_blocking_portal

from infrastructure.embedded.children import wait_until
from infrastructure.settings import load
from infrastructure.settings_parts import Limits
from tests import collector, egrul, mailbox, servers, whole
from tests.consul import consul
from tests.issuer import ADMIN_TOKEN, PATH, provider
from tests.poison import refusing

PAGES = Path(__file__).parents[2] / "docs" / "how-to"
SECRET = "the secret of all our services"
NETWORK = "10.20.0.7"
"""Where the system of `connect-a-system.md` asks from, says the proxy that we are."""
PDF = b"%PDF-1.7\n1 0 obj<<>>endobj\ntrailer<<>>\n%%EOF\n"
CURL = f'curl() {{ command curl -sS --fail-with-body -H "X-Forwarded-For: {NETWORK}" "$@"; echo; }}'


def blocks(page: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (PAGES / page).read_text(), re.DOTALL)


SETTINGS = blocks("accept-an-identity-provider.md")
ONE_ISSUER, ISSUERS, BACK_ENDS, AT_THE_PROVIDER = SETTINGS


def shell(script: str, **variables: str) -> str:
    """What it printed; it must end well."""
    done = subprocess.run(
        ["bash"],
        input="set -eu\n" + script,
        env=whole.ENVIRONMENT | variables,
        capture_output=True,
        text=True,
        timeout=whole.END,
        check=False,
    )
    assert done.returncode == 0, script + done.stdout + done.stderr
    return done.stdout


def settings_of(lines: str, url: str, token_file: str = "") -> dict[str, str]:
    """What a block sets, with the provider of this test in the place of the page's."""
    said = lines.replace("https://idp.example", url).replace("/run/secrets/idp", token_file)
    told = shell(f"set -a\n{said}\nenv")
    return dict(line.split("=", 1) for line in told.splitlines() if line.startswith("CHANCERY_"))


@pytest.fixture(scope="module")
def idp():
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(provider()) as made:
        yield made


@pytest.fixture(scope="module")
def box():
    """A mail server."""
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(mailbox.opened()) as made:
        yield made


@pytest.fixture(scope="module")
def spans():
    """A collector of them."""
    with collector.opened() as made:
        yield made


@pytest.fixture(scope="module")
def chancery(idp, box, spans):
    folder = servers.place("how-to")
    folder.mkdir(mode=0o711)
    token = folder / "idp"
    token.write_text(ADMIN_TOKEN)
    outside = settings_of(ISSUERS, idp.admin_url) | settings_of(AT_THE_PROVIDER, idp.admin_url, str(token))
    posted = settings_of(blocks("mail.md")[0], "") | {"CHANCERY_SMTP_URL": box.url}
    traced = settings_of(blocks("trace.md")[0], "") | {"CHANCERY_TRACES_URL": spans.url}
    with whole.up(
        folder,
        CHANCERY_INTERNAL_SECRET=SECRET,
        CHANCERY_TRUSTED_PROXIES="127.0.0.1/32",
        **outside,
        **posted,
        **traced,
    ) as running:
        yield running


@pytest.fixture(scope="module")
def admin(chancery):
    with chancery.signed_in(patient=True) as client:
        yield client


@pytest.fixture
def paste(chancery):
    """Blocks, as typed one after the other; the JSON that each curl printed."""

    def run(*scripts: str, **variables: str) -> list:
        tools = f"PATH={Path(sys.executable).parent}:$PATH\n{CURL}\n"
        told = shell(tools + "".join(scripts), CHANCERY=chancery.url, **variables)
        return [json.loads(line) for line in told.splitlines() if line.startswith("{")]

    return run


def token_of(client: httpx.Client) -> str:
    return client.headers["Authorization"].removeprefix("Bearer ")


def made(admin: httpx.Client, path: str, **body) -> dict:
    """The receipt, as soon as lists show what was made."""
    answer = admin.post(path, json=body)
    assert answer.status_code in (200, 201), answer.text
    if (position := answer.headers.get("x-event-position")) is not None:
        listed = admin.get("/" + path.split("/")[1], headers={"X-Min-Position": position})
        assert listed.status_code in (200, 404), listed.text
    return answer.json()


def test_another_system_is_connected(paste, admin):
    prepared, register, grant, ask, another_key, imported = blocks("connect-a-system.md")
    token = token_of(admin)
    (client,) = paste(prepared, register, TOKEN=token)
    known = {
        "TOKEN": token,
        "CLIENT_ID": client["id"],
        "CLIENT_KEY": client["client_key"],
        "API_KEY": client["api_key"],
    }
    (given,) = paste(prepared, grant, **known)
    assert given["version"] == 1
    listed, snapshot = paste(prepared, ask, **known)
    assert "data" in listed
    assert [each["action"] for each in snapshot["permissions"]] == ["view"]
    (key,) = paste(prepared, another_key, **known)
    assert key["api_key"] not in (None, client["api_key"])
    for each in (known["API_KEY"], key["api_key"]):
        assert len(paste(prepared, ask, **{**known, "API_KEY": each})) == 2
    (brought,) = paste(prepared, imported, **known)
    assert (brought["client_key"], "api_key" in brought) == ("mkt-backend", False)


def test_who_may_is_asked(paste, admin):
    prepared, on_that_day, who_can, changes = blocks("ask-who-may.md")
    user = made(admin, "/users", email="ann@example.org", first_name="Ann", last_name="Lee")
    company = made(admin, "/organisations", full_name="A customer")
    contract = made(
        admin,
        "/contracts",
        kind="sale",
        organisation_id=company["id"],
        title="Lighting",
        amount={"amount": "10.00", "currency": "EUR"},
    )
    right = {"scope_type": "global", "scope_id": "*", "module": "contract", "action": "sign"}
    view = right | {"action": "view"}
    for each in (view, right):
        grant = made(admin, "/grants", subject={"type": "user", "id": user["id"]}, **each)
    moment = datetime.now(UTC).isoformat()
    made(admin, f"/grants/{grant['id']}/revoke", reason="She left.")
    known = {
        "AUTH": f"Authorization: {admin.headers['Authorization']}",
        "SHE": user["id"],
        "CONTRACT": contract["id"],
        "N": str(grant["position"] - 1),
    }
    (then,) = paste(prepared, on_that_day.replace("2026-03-01T12:00:00Z", moment), **known)
    assert (then["decision"], then["context"]["grant"]) == (True, grant["id"])
    assert then["context"]["explain"]["grant"]["given_by"]["kind"] == "user"
    (now,) = paste(prepared, re.sub(r'\\"as_of\\": .*?, ', "", on_that_day), **known)
    assert (now["decision"], now["context"]["reason"]) == (False, "revoked")
    (able,) = paste(prepared, who_can, **known)
    assert "results" in able
    following = {"after": known["N"]}, {"X-Min-Position": str(grant["position"])}
    admin.get("/permissions/changes", params=following[0], headers=following[1]).raise_for_status()
    (fed,) = paste(prepared, changes, **known)
    assert fed["data"][0]["added"][0]["action"] == "sign"


def test_an_identity_provider_is_accepted(paste, admin, chancery, idp, tmp_path):
    token_file = tmp_path / "idp"
    token_file.write_text(ADMIN_TOKEN)
    alone = settings_of(ONE_ISSUER, idp.admin_url)
    assert load(environ=alone | {"CHANCERY_DATA_DIR": str(tmp_path)}).oidc_issuers[0] == idp.url
    assert idp.url.endswith(PATH)
    with chancery.client(patient=True) as stranger:
        theirs = {"Authorization": f"Bearer {idp.token('a3f1')}"}
        person = stranger.get("/me", headers=theirs)
    assert person.status_code == 200, person.text
    assert person.json()["identities"][0]["issuer"] == idp.url

    module = {"module": "campaign", "actions": ["view"], "scope_types": ["site"]}
    made(admin, "/permissions/catalogue", **module)
    system = made(admin, "/api-clients", name="Portal")
    known = {"SECRET": SECRET, "CLIENT": system["client_key"], "KEY": system["api_key"]}
    upserted, snapshot, granted = paste(BACK_ENDS, **known)
    assert upserted["sub"] == snapshot["sub"] == "a3f1"
    assert granted["result"] == "granted"
    _, snapshot, again = paste(BACK_ENDS, **known)
    assert again["permission_id"] == granted["permission_id"]
    assert "campaign" in {each["module"] for each in snapshot["permissions"]}


def test_a_list_is_filtered(paste, admin):
    identifiers = {"inn": "7707083893", "kpp": "773601001"}
    made(admin, "/organisations", full_name="ООО «Ромашка»", region_code="77", identifiers=identifiers)
    (found,) = paste(*blocks("filter-a-list.md"), TOKEN=token_of(admin))
    assert [each["full_name"] for each in found["data"]] == ["ООО «Ромашка»"]


def test_a_list_is_exported(paste, admin, tmp_path):
    made(admin, "/organisations", full_name="ООО «Выгрузка»", region_code="77")
    *_, seen = paste(f"cd {tmp_path}\n", *blocks("export.md"), TOKEN=token_of(admin))
    rows = (tmp_path / "organisations.csv").read_text(encoding="utf-8-sig").splitlines()
    assert (seen["state"], seen["counts"]["rows"]) == ("completed", len(rows) - 1)
    assert "ООО «Выгрузка»" in "".join(rows)


def test_letters_are_kept(paste, admin):
    register, answer, sign, correct = blocks("letters.md")
    scan = admin.post(
        "/files", files={"file": ("scan.pdf", PDF, "application/pdf")}, data={"purpose": "document"}
    )
    known = {
        "TOKEN": token_of(admin),
        "ORGANISATION": made(admin, "/organisations", full_name="Писатель")["id"],
        "SCAN": scan.raise_for_status().json()["id"],
    }
    prepared = register.splitlines()[0] + "\n"
    (letter,) = paste(register, **known)
    (draft,) = paste(prepared, answer, **known, LETTER=letter["id"])
    (signed,) = paste(prepared, sign, **known, DRAFT=draft["id"])
    assert (letter["number"][:3], signed["number"][:4]) == ("IN-", "OUT-")
    _, history, _ = paste(prepared, correct.replace("IN-2026-00042", letter["number"]), **known)
    assert history["data"][1]["changes"][0]["to"] == "17/3-205"


def test_records_are_searched(paste, admin):
    (search,) = blocks("search.md")
    place = made(admin, "/organisations", full_name="Насосный завод")["id"]
    told = {"sender_number": "9", "sender_date": "2026-02-27", "received_on": "2026-03-01"}
    letter = made(
        admin,
        "/letters/incoming",
        organisation_ids=[place],
        subject="О поставке насоса для котельной",
        **told,
    )
    admin.get(
        "/search", params={"q": "a"}, headers={"X-Min-Position": str(letter["position"])}
    ).raise_for_status()
    search = search.replace("IN-2026-00042", letter["number"])
    by_words, by_number = paste(search, TOKEN=token_of(admin))
    assert [each["id"] for each in by_words["data"]] == [letter["id"]]
    marked = [piece["text"] for piece in by_words["data"][0]["highlights"][0]["pieces"] if piece["hit"]]
    assert marked == ["поставке", "насоса"]
    assert by_number["data"][0]["id"] == letter["id"]


def test_a_request_is_traced_into_the_other_processes(paste, admin, spans):
    _, ask = blocks("trace.md")
    (receipt,) = paste(ask, TOKEN=token_of(admin))

    def trace():
        """Of the fact that the receipt names: no other request of these pages is likely to be sampled."""
        facts = [each for each in spans.named("organisation.added.v1") if said(each) == receipt["position"]]
        return {each.name for fact in facts for each in spans.trace(fact.trace_id.hex())}

    def said(span):
        return collector.said(span)["chancery.position"]

    expected = {"POST /api/v1/organisations", "append", "relay", "project organisation"}
    assert wait_until(lambda: expected <= trace(), 60)


def test_events_are_followed(paste, admin, tmp_path):
    pages, stream = blocks("follow-events.md")
    last = made(admin, "/organisations", full_name="A fact")["position"]
    known = {"TOKEN": token_of(admin), "N": str(last - 1)}
    (page,) = paste(pages, **known)
    assert (page["data"][0]["topic"], page["data"][0]["position"]) == ("organisation.added.v1", last)
    told = tmp_path / "told"
    for_a_while = stream.replace("curl -N", f"curl -N -m 2 -o {told}").rstrip() + " || true\n"
    paste(pages.splitlines()[0] + "\n", for_a_while, **known)
    assert f"id: {last}\n" in told.read_text()


def test_two_talk_and_one_listens(paste, admin, chancery, tmp_path):
    find, write, read, listen = blocks("live.md")
    first = find.splitlines()[0] + "\n"
    sales = made(admin, "/departments", name="Sales")["id"]
    email = "ada@example.org"
    ada = made(admin, "/users", email=email, first_name="Ada", last_name="Byron", department_id=sales)
    admin.get("/users", headers={"X-Min-Position": str(ada["position"])}).raise_for_status()
    found, dialog = paste(find, TOKEN=token_of(admin), USER_ID=ada["id"])
    assert [each["id"] for each in found["data"]] == [ada["id"]]
    (sent,) = paste(first, write, TOKEN=token_of(admin), DIALOG=dialog["id"])
    with chancery.client(patient=True) as hers:
        login = {"login": email, "password": ada["temporary_password"]}
        pair = hers.post("/auth/login", json=login).raise_for_status().json()
        hers.headers["Authorization"] = f"Bearer {pair['access_token']}"
        change = {"old": ada["temporary_password"], "new": "another horse, another battery"}
        hers.post("/me/password", json=change).raise_for_status()
        shown = {"X-Min-Position": str(sent["position"])}
        hers.get(f"/dialogs/{dialog['id']}/messages", headers=shown).raise_for_status()
        told = tmp_path / "told"
        for_a_while = listen.replace("curl -N", f"curl -N -m 5 -o {told}").rstrip() + " || true\n"
        paste(first, for_a_while, TOKEN=token_of(hers), N=str(sent["position"] - 1))
        known = {"TOKEN": token_of(hers), "DIALOG": dialog["id"], "MESSAGE_ID": sent["id"]}
        page, mark, _ = paste(first, read, **known)
        read_by_now = {"X-Min-Position": str(mark["position"])}
        assert hers.get("/messages/unread-count", headers=read_by_now).json()["total"] == 0
    assert f"event: message.new\nid: {sent['position']}\n" in told.read_text()
    assert [each["text"] for each in page["data"]] == ["Here is the offer."]


def test_the_office_gets_paid(paste, admin, chancery, tmp_path):
    issue, fetch, pay, undo, look, check = blocks("get-paid.md")
    place = made(admin, "/organisations", full_name="Alpha")["id"]
    amount = {"amount": "12500.00", "currency": "EUR"}
    contract = made(admin, "/contracts", kind="sale", organisation_id=place, amount=amount)["id"]
    signed = admin.post(f"/contracts/{contract}/sign", headers={"Idempotency-Key": "sign"})
    assert signed.status_code == 200, signed.text
    given = {"TOKEN": token_of(admin), "CONTRACT": contract, "ORGANISATION": place}
    preface = issue.splitlines()[0] + "\n"
    (invoice,) = paste(issue, **given)
    given["INVOICE"] = invoice["number"]
    paste(f"cd {tmp_path}\n", preface, fetch, **given)
    assert (tmp_path / "invoice.pdf").read_bytes().startswith(b"%PDF")
    (payment,) = paste(preface, pay, **given)
    _, note = paste(preface, undo, **given, PAYMENT=payment["id"])
    assert note["number"].startswith("AV-")
    position = {"X-Min-Position": str(note["position"])}
    for path in (f"/organisations/{place}/balance", "/dashboards/contracts"):
        assert admin.get(path, headers=position).status_code == 200
    balance, statement, open_ones, board = paste(preface, look, **given)
    assert balance["balances"][0]["balance"] == {"amount": "4000.00", "currency": "EUR"}
    assert [each["kind"] for each in statement["data"]] == ["invoice", "payment", "reversal", "credit_note"]
    assert invoice["id"] in [each["id"] for each in open_ones["data"]]
    assert {each["name"]: each["count"] for each in board["data"]}["owed"] >= 1
    paste(check, CHANCERY_DATA_DIR=str(chancery.data_dir))


def test_a_contract_is_signed_proved_and_its_occasion_held(paste, admin, chancery, tmp_path):
    sign, prove_password, fetch, check, hold, lists, calendar, withdraw = blocks("sign.md")
    department = admin.get("/departments/support").json()["id"]
    who = made(
        admin, "/users", email="sacha@example.org", department_id=department, first_name="S", last_name="L"
    )
    place = made(admin, "/organisations", full_name="Beta")["id"]
    amount = {"amount": "12500.00", "currency": "EUR"}
    drafted = made(admin, "/contracts", kind="sale", organisation_id=place, amount=amount)
    contract = drafted["id"]
    shutil.copy(PAGES.parent / "verify" / "verify_certificate.py", tmp_path)
    preface = f"cd {tmp_path}\n" + sign.partition("VERSION=")[0]
    known = {"CONTRACT": contract, "WHO": who["id"], "PASSWORD": whole.PASSWORD}
    with chancery.signed_in(patient=True) as client:
        known["TOKEN"] = token_of(client)
        position = {"X-Min-Position": str(drafted["position"])}
        assert client.get(f"/contracts/{contract}", headers=position).status_code == 200
        (signed,) = paste(sign, **known)
        paste(preface, prove_password, '[ "$TOKEN" ] && [ "$TOKEN" != None ]\n', **known)
        paste(preface, fetch, check, **known)
        assert (tmp_path / "certificate.pdf").read_bytes().startswith(b"%PDF")
        (assigned,) = paste(preface, hold, **known)
        behind = {"X-Min-Position": str(assigned["position"])}
        assert client.get(f"/occasions/{assigned['id']}", headers=behind).json()["assigned_to"] == who["id"]
        _, his = paste(preface, lists, **known)
        assert [each["id"] for each in his["data"]] == [assigned["id"]]
        paste(preface, calendar, **known)
        assert f"UID:{assigned['id']}" in (tmp_path / "occasions.ics").read_text()
        (withdrawn,) = paste(preface, withdraw, **known, OCCASION=assigned["id"])
    assert (signed["id"], withdrawn["id"]) == (contract, assigned["id"])


def test_somebody_is_forgotten(paste, admin, chancery, tmp_path):
    prepared, export, hold, release, erase, check, backup = blocks("forget-somebody.md")
    who = made(admin, "/users", email="zoe@example.org", first_name="Zoe", last_name="Zimt")["id"]
    known = {"TOKEN": token_of(admin), "WHO": who, "CHANCERY_DATA_DIR": str(chancery.data_dir)}
    paste(prepared, export.replace("personal-data.json", str(tmp_path / "zoe.json")), **known)
    assert json.loads((tmp_path / "zoe.json").read_text())["profile"]["email"] == "zoe@example.org"
    (held,) = paste(prepared, hold, **known)
    refused = admin.post(f"/users/{who}/erase", json={"reason": "asked for it"})
    assert (refused.status_code, refused.json()["legal_holds"]) == (423, [held["id"]])
    follows = {"X-Min-Position": str(held["position"])}
    assert wait_until(lambda: admin.get("/legal-holds", headers=follows).status_code == 200, whole.END)
    listed, _ = paste(prepared, release, HOLD=held["id"], **known)
    assert [each["id"] for each in listed["data"]] == [held["id"]]
    rehearsed, erased = paste(prepared, erase, **known)
    assert ([each["topic"] for each in rehearsed["events"]], erased["id"]) == (["user.erased.v1"], who)
    paste(check.replace("audit.ndjson", str(tmp_path / "audit.ndjson")), **known)
    paste(f"cd {tmp_path}\n", backup, **known)
    gone = [
        line for line in (tmp_path / "subject-keys.ndjson").read_text().splitlines() if "destroyed_at" in line
    ]
    assert who in "".join(gone)


def test_a_year_is_audited(paste, admin, tmp_path):
    steps = blocks("audit-a-year.md")
    company = made(admin, "/organisations", full_name="A customer")["id"]
    amount = {"amount": "10.00", "currency": "EUR"}
    contract = made(admin, "/contracts", kind="sale", organisation_id=company, title="Light", amount=amount)[
        "id"
    ]
    signed = admin.post(
        f"/contracts/{contract}/sign", headers={"Idempotency-Key": "audited"}
    ).raise_for_status()
    day = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    last = made(admin, "/organisations", full_name="A later one")["position"]
    assert wait_until(lambda: int(admin.get("/audit/checkpoint").text.split("\n")[1]) >= last, whole.END)
    shutil.copy(PAGES.parent / "verify" / "verify_export.py", tmp_path)
    known = {
        "TOKEN": token_of(admin),
        "SHE": admin.get("/me").json()["id"],
        "CONTRACT": contract,
        "DAY": day,
    }
    home, year = f"cd {tmp_path}\n", f"YEAR={datetime.now(UTC).year}"
    paste(home, steps[0], **known)
    (key, *_) = json.loads((tmp_path / "keys.json").read_text())["data"]
    known |= {"KEY": key["vkey"], "AUDIT_TOKEN": known["TOKEN"]}
    told = [line for step in steps[1:] for line in paste(home, step.replace("YEAR=2026", year), **known)]
    then, drafted, closed, changed, might, *able = told
    assert (then["id"], then["status"], then["version"]) == (contract, "signed", 2)
    assert [drafted["topic"], closed["topic"]] == ["contract.drafted.v1", "contract.signed.v1"]
    assert closed["position"] == signed.json()["position"]
    assert "status" in {each["field"] for each in changed["changes"]}
    assert (might["decision"], might["context"]["allowed_by"]) == (True, "role:admin")
    assert known["SHE"] in [each["subject"]["id"] for each in able]
    assert company in (tmp_path / "organisations.ndjson").read_text()
    difference = (tmp_path / "difference.txt").read_text()
    assert "FORK" not in difference
    assert "0 only in the first" in difference
    assert {each.suffix for each in tmp_path.iterdir()} == {".json", ".ndjson", ".note", ".py", ".txt"}


def test_the_log_is_kept_believed(paste, admin, chancery):
    check, look, _ = blocks("keep-the-log.md")  # the last is for a store that was set back: cli/test_epoch.py
    paste(check, look, CHANCERY_DATA_DIR=str(chancery.data_dir))
    told = admin.get("/audit/entries", params={"filter": "topic:check"}).raise_for_status().json()["data"]
    assert [each["topic"] for each in told] == ["check.completed.v1"]


def test_a_store_is_upgraded(paste, chancery):
    paste(*blocks("upgrade.md"), CHANCERY_DATA_DIR=str(chancery.data_dir))


def test_a_read_model_is_built_again_taken_back_and_rid_of_a_poison(paste, admin, chancery):
    look, build, park, unpark = blocks("rebuild.md")
    for block in (look, build):
        paste(block, CHANCERY_DATA_DIR=str(chancery.data_dir))
    place = f"/departments/{made(admin, '/departments', name='Stubborn')['id']}"
    with psycopg.connect(
        load(environ={"CHANCERY_DATA_DIR": str(chancery.data_dir)}).database_url, autocommit=True
    ) as database:
        with refusing(database, "department", place.rpartition("/")[2]):
            admin.patch(place, json={"name": "Poison"}).raise_for_status()
            stopped = "select from projections where name = 'department' and failed_event is not null"
            assert wait_until(lambda: database.execute(stopped).fetchone() is not None, 60)
            paste(park, CHANCERY_DATA_DIR=str(chancery.data_dir))
            assert admin.get(place).status_code == 503
        paste(unpark, CHANCERY_DATA_DIR=str(chancery.data_dir))
    assert admin.get(place).raise_for_status().json()["name"] == "Poison"


def test_a_backup_is_made_onto_another_and_found_sound(paste, chancery, tmp_path):
    known = {"BACKUPS": str(tmp_path / "backups"), "KEYS": str(tmp_path / "keys")}
    for block in blocks("back-up.md"):
        paste(block, CHANCERY_DATA_DIR=str(chancery.data_dir), **known)
    monday, tuesday = (
        {p.name for p in (tmp_path / "backups" / day).rglob("objects/*/*")} for day in ("monday", "tuesday")
    )
    assert monday <= tuesday


def test_who_has_never_seen_it_operates_it(paste, admin, chancery, tmp_path):
    find, look, back_up, bring_back, rebuild, upgrade = blocks("operate.md")
    made(admin, "/organisations", full_name="Kept")
    practice = servers.place("practice")
    here = {
        "BACKUPS": str(tmp_path / "backups"),
        "KEYS": str(tmp_path / "keys"),
        "PRACTICE": str(practice / "data"),
    }
    here["CHANCERY_DATA_DIR"] = str(chancery.data_dir)
    ready, *_ = paste(find, look, back_up, **here)
    assert [part for part in ready["parts"] if part["needed"] and not part["ok"]] == []
    paste(rebuild, upgrade, **here)
    practice.mkdir(mode=0o711)
    with whole.servers_only(practice) as empty:
        paste(bring_back, **here)
        with empty.superuser() as database:
            (epochs,) = database.execute("select count(*) from epochs").fetchone()
    assert epochs == 2


def test_the_register_is_looked_up_in_our_own_copy(paste, admin, chancery, tmp_path):
    (load_files,) = blocks("look-ups.md")
    for day, name in (("2024-01-01", "АО РОМАШКА"), ("2024-01-15", "АО ЛЮТИК")):
        folder = tmp_path / day
        folder.mkdir()
        (folder / "a.xml").write_bytes(egrul.register(egrul.entity(name=name), day=day))
    script = load_files.replace("/data/egrul", str(tmp_path))
    paste(script, CHANCERY_DATA_DIR=str(chancery.data_dir))
    (found,) = admin.get("/lookups/egrul", params={"q": "лютик"}).raise_for_status().json()["data"]
    assert found["full_name"] == "АО ЛЮТИК"
    receipt = made(admin, "/organisations/from-lookup", source="egrul", ref=found["ref"])
    assert receipt["version"] == 1


def test_people_choose_what_they_are_told_by_mail_and_are(paste, admin, chancery, box):
    told, choose = blocks("mail.md")
    assert load(environ=settings_of(told, "")).smtp_url.startswith("smtps://")
    account = {"email": "carol@example.org", "first_name": "Carol", "last_name": "Lee"}
    carol = made(admin, "/users", **account)
    with chancery.client(patient=True) as client:
        before = client.post(
            "/auth/login", json={"login": account["email"], "password": carol["temporary_password"]}
        )
        own = {"old": carol["temporary_password"], "new": "another horse battery staple"}
        headers = {"Authorization": f"Bearer {before.json()['access_token']}"}
        client.post("/me/password", json=own, headers=headers).raise_for_status()
        token = headers["Authorization"].removeprefix("Bearer ")

    def subjects() -> list[str]:
        return [mail["subject"] for mail in box.mails if mail["to"] == account["email"]]

    assert wait_until(lambda: "Your password was changed" in subjects(), whole.END)
    shown, chosen = paste(choose, TOKEN=token)
    assert (shown["mail"], chosen["id"]) == (["message.new", "letter.due", "account"], carol["id"])
    made(admin, f"/users/{carol['id']}/password")
    assert wait_until(
        lambda: "Votre mot de passe a été réinitialisé par le personnel" in subjects(), whole.END
    )
    assert sorted(subjects()) == sorted(set(subjects())), "each once"


def test_the_keys_are_rotated(paste, chancery):
    """Last: a key that is thrown out takes the access tokens with it that it signed."""
    commands, key_of_the_log = blocks("rotate-keys.md")
    paste(key_of_the_log, CHANCERY_DATA_DIR=str(chancery.data_dir))
    with chancery.signed_in(patient=True) as admin:
        (key,) = httpx.get(f"{chancery.url}/.well-known/jwks.json").json()["keys"]
        paste(commands.replace("<kid>", key["kid"]), CHANCERY_DATA_DIR=str(chancery.data_dir))
        assert wait_until(lambda: admin.get("/me").status_code == 401, whole.END)
    with chancery.signed_in(patient=True) as again:
        past = again.get("/audit/entries", params={"filter": "topic:signing_key"}).raise_for_status()
        known = again.get("/audit/keys")
    assert "signing_key.compromised.v1" in {each["topic"] for each in past.json()["data"]}
    assert len(known.raise_for_status().json()["data"]) == 2


def test_settings_come_from_files_and_from_consul(tmp_path):
    """The blocks of `deploy.md` that need no engine and no systemd."""
    made, shown, alive, from_consul = blocks("deploy.md")
    pairs = {"portal/BASE/TITLE": "The portal", "portal/DB/POSTGRESQL/HOST": "db"}
    pairs |= {"portal/DB/POSTGRESQL/USERNAME": "app", "portal/DB/POSTGRESQL/DATABASE": "portal"}
    with consul(pairs) as kept:
        tools = f"PATH={Path(sys.executable).parent}:$PATH\ncd {tmp_path}\nln -s {PAGES.parents[1] / 'deploy'} deploy\n"
        told = shell(tools + made + shown + alive + from_consul, CONSUL=kept.url)
    assert "made secrets/key_encryption_key" in told
    first, after = told[told.index("{") :].split("start it again\n")
    files, central = json.loads(first), json.loads(after)
    assert files["database_url"]["value"] == "postgresql://chancery_app:********@db/chancery"
    assert files["key_encryption_key"]["value"] == "********"
    assert (central["title"]["value"], central["title"]["source"]) == (
        "The portal",
        "consul portal/BASE/TITLE",
    )
    for secret in (tmp_path / "secrets").glob("*_*"):
        assert secret.is_dir() or secret.read_text() not in told


def test_it_is_watched(paste, chancery, tmp_path):
    ready, looked_at, figures, ports, followed, sent = blocks("watch.md")
    (answer,) = paste(ready)
    assert {"database", "relay", "signer", "jobs"} <= {part["name"] for part in answer["parts"]}
    binaries = f"PATH={Path(sys.executable).parent}:$PATH\n{CURL}\n"
    told = shell(binaries + looked_at, CHANCERY_DATA_DIR=str(chancery.data_dir))
    assert all(part in told for part in ("key-encryption key", "roles", "kept outside: backup"))
    assert "chancery_head_position" in shell(binaries + figures, CHANCERY=chancery.url)
    assert paste(followed)[0]["min_length"]
    here = {"CHANCERY_DATA_DIR": str(tmp_path)}
    settings = load(environ=settings_of(ports, "") | settings_of(sent, "") | here)
    assert (settings.work_metrics_port, settings.jobs_metrics_port) == (9101, 9102)
    assert settings.log_sink_url.startswith("https://")


def test_what_is_let_in_at_once_is_set_and_watched(chancery, tmp_path):
    limits, watched = blocks("overload.md")
    said = settings_of(limits, "")
    settings = load(environ=said | {"CHANCERY_DATA_DIR": str(tmp_path)})
    names = {name.removeprefix("CHANCERY_").lower() for name in said}
    assert names == set(Limits.__annotations__), "all of them, at their defaults"
    assert all(getattr(settings, name) == getattr(Limits(), name) for name in names)
    assert "chancery_overloaded_total" in shell(f"{CURL}\n{watched}", CHANCERY=chancery.url)
