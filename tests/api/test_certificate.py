"""Certificates of signatures: made once the log is signed, always the same bytes, and checked by anybody, offline."""

import importlib.util
import zlib
from base64 import b64decode, b64encode
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import msgspec
import pytest
from click.testing import CliRunner
from msgspec.structs import replace

from cli.main import chancery
from infrastructure.audit.keys import published_keys
from infrastructure.audit.signed_note import Signer
from infrastructure.operations import Taken
from infrastructure.papers import certificate_papers
from infrastructure.papers.certificate import Evidence, attached, evidence_in, page
from infrastructure.papers.certificate_papers import NoCheckpoint
from infrastructure.postgres import connect
from projections.leaf import stored_of
from tests import office as offices
from tests import servers
from tests.money import code, drafted, key, signed
from workers.forgetting import forget_user
from workers.operations import certificate_render
from workers.signer import sign_once

pytestmark = pytest.mark.anyio

ORIGIN = "chancery.example/audit"
STRANGER = Signer(ORIGIN, bytes(32)).verifier.vkey()
_VERIFIER = Path(__file__).parents[2] / "docs" / "verify" / "verify_certificate.py"


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    """One API for all tests here, with an object store."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


@pytest.fixture(scope="module")
def one_file():
    """The verifier that an auditor reads, as a module."""
    spec = importlib.util.spec_from_file_location("verify_certificate", _VERIFIER)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


async def checkpointed(office):
    """The log is signed as far as it goes; answers the key."""
    await office.admin.get("/audit/checkpoint")  # a read: every read model is at the head
    async with await connect(office.addresses.app) as connection:
        await sign_once(connection, office.system.wrapping, ORIGIN)
        return (await published_keys(connection))[-1].vkey


async def made(office, contract):
    """The PDF and the key that vouches for it."""
    vkey = await checkpointed(office)
    about = {"contract_id": contract.rpartition("/")[2]}
    await certificate_render(
        office.system, Taken(id=uuid4(), kind="certificate.render", about=about, attempt=1)
    )
    answer = await office.admin.get(f"{contract}/certificate")
    assert answer.status_code == 200, answer.text
    return answer, vkey


def checked(tmp_path, pdf, *keys):
    file = tmp_path / "certificate.pdf"
    file.write_bytes(pdf)
    words = [word for each in keys for word in ("--key", each)]
    return CliRunner().invoke(chancery, ["audit", "certificate", str(file), *words])


# --- the event and the route ----------------------------------------------------------------------------------------


async def test_the_event_says_who_when_and_by_which_proof_and_seals_from_where(office):
    contract = await signed(office)
    *_, last = await office.system.recorded(UUID(contract.rpartition("/")[2]))
    event, meta = last.event, msgspec.json.decode(last.meta)
    assert (event.credential, event.signed_by) == ("password", last.metadata.actor.id)
    assert event.proved_at is not None
    assert event.proved_at <= event.signed_at
    assert meta["session_id"] == str(last.metadata.session_id)
    assert last.metadata.origin.address is not None
    assert last.metadata.origin.address not in str(meta)
    record = (await office.admin.get(contract)).json()
    assert (record["signed_position"], record["credential"]) == (last.position, "password")


def proved(office, person, seconds_ago):
    """His password, as if he had given it to another process."""
    row = office.owner.execute(
        "update sessions set proved_at = now() - make_interval(secs => %s), access_version = access_version + 1"
        " where user_id = %s returning proved_at",
        (seconds_ago, person.id),
    )
    return row.fetchone()[0]


async def test_the_event_names_the_proof_that_append_relied_on_not_one_that_memory_had(office):
    anna = await office.user("contract:view", "contract:sign")
    proved(office, anna, 301)
    contract = await drafted(office)
    async with office.nothing_stored():
        refused = await anna.client.post(f"{contract}/sign", headers=key())
    assert code(refused) == (401, "step_up_required")
    for seconds_ago in (200, 100):
        contract, when = await drafted(office), proved(office, anna, seconds_ago)
        assert (await anna.client.post(f"{contract}/sign", headers=key())).status_code == 200
        *_, last = await office.system.recorded(UUID(contract.rpartition("/")[2]))
        assert last.event.proved_at == when


async def test_a_program_signs_with_its_key(office):
    made = await office.admin.post("/api-clients", json={"name": f"Signer {uuid4()}", "kind": "server"})
    client, contract = made.json(), await drafted(office)
    for right in ("contract:view", "contract:sign"):
        office.grant(UUID(client["id"]), right, kind="client")
    keys = {"X-Client-Key": client["client_key"], "X-API-Key": client["api_key"]}
    answer = await office.stranger.post(f"{contract}/sign", headers={**keys, **key()})
    assert answer.status_code == 200, answer.text
    *_, last = await office.system.recorded(UUID(contract.rpartition("/")[2]))
    assert (last.event.credential, last.event.proved_at) == ("api_key", None)


async def test_it_comes_when_a_signed_checkpoint_covers_the_signature_and_is_always_the_same(office):
    organisation = await office.organisation(full_name="Brumes SA")
    contract = await signed(office, organisation=organisation)
    path = f"{contract}/certificate"
    waiting = await office.admin.get(path)
    assert (waiting.status_code, waiting.headers["retry-after"], waiting.json()) == (
        202,
        "1",
        {"state": "making"},
    )
    asked = (
        "select count(*) from operations where kind = 'certificate.render' and about ->> 'contract_id' = %s"
    )
    assert office.owner.execute(asked, (contract.rpartition("/")[2],)).fetchone() == (1,)
    first, _ = await made(office, contract)
    assert first.headers["content-type"] == "application/pdf"
    assert first.headers["etag"] == f'"{sha256(first.content).hexdigest()}"'
    assert b"<pdfaid:part>3</pdfaid:part><pdfaid:conformance>B" in first.content
    await signed(office)
    await office.admin.patch(organisation, json={"full_name": "Another SA"})
    again, _ = await made(office, contract)
    assert again.content == first.content
    same = await office.admin.get(path, headers={"If-None-Match": first.headers["etag"]})
    assert same.status_code == 304


async def test_before_its_checkpoint_there_is_none_and_the_job_is_tried_again(office, monkeypatch):
    contract = await signed(office)
    monkeypatch.setattr(certificate_papers, "SIGNED_WITHIN", 0.0)
    with pytest.raises(NoCheckpoint):
        await office.system.certificate_papers.make(UUID(contract.rpartition("/")[2]))
    assert (await office.admin.get(f"{contract}/certificate")).status_code == 202


async def test_who_may_see_the_contract_sees_its_certificate_and_an_unsigned_one_has_none(office):
    contract, unsigned = await signed(office), await drafted(office)
    viewer, nobody = await office.user("contract:view"), await office.user()
    assert (await viewer.client.get(f"{contract}/certificate")).status_code == 202
    assert (await nobody.client.get(f"{contract}/certificate")).status_code == 404
    assert (await office.stranger.get(f"{contract}/certificate")).status_code == 401
    assert (await viewer.client.get(f"/contracts/{uuid4()}/certificate")).status_code == 404
    assert code(await viewer.client.get(f"{unsigned}/certificate")) == (409, "contract.not_signed")


async def test_a_canceled_contract_keeps_its_certificate(office):
    contract = await signed(office)
    await office.admin.post(f"{contract}/cancel", json={"reason": "no"}, headers=key())
    answer, _ = await made(office, contract)
    assert answer.status_code == 200


async def test_what_the_sweep_finds_of_yesterday_it_leaves_to_its_contract(office):
    contract_id = UUID((await signed(office)).rpartition("/")[2])
    assert await office.system.claims.owner("contract.paper", str(contract_id)) == contract_id


async def test_names_no_font_has_are_boxed_on_the_page_and_whole_in_the_evidence(office, tmp_path):
    organisation = await office.organisation(full_name="北京 😀 Ltd")
    contract = await signed(office, organisation=organisation, title="契約 \u0001 {#x} $y$ \\ `z`")
    answer, vkey = await made(office, contract)
    assert evidence_in(answer.content).organisation == "北京 😀 Ltd"
    assert checked(tmp_path, answer.content, vkey).exit_code == 0


async def test_who_is_forgotten_stands_on_no_certificate(office, tmp_path):
    anna = await office.user("contract:view", "contract:sign", first_name="Anna", last_name="Berg")
    contract = await drafted(office)
    assert (await anna.client.post(f"{contract}/sign", headers=key())).status_code == 200
    before, vkey = await made(office, contract)
    assert evidence_in(before.content).signer == "Anna Berg"
    erased = await office.admin.post(f"/users/{anna.id}/erase", json={"reason": "asked for it"})
    assert erased.status_code == 200, erased.text
    await office.admin.get(contract)
    await forget_user(office.system, anna.id, erased.json()["position"])
    after = await office.admin.get(f"{contract}/certificate")
    evidence = evidence_in(after.content)
    assert (evidence.signer, evidence.leaf) == (None, evidence_in(before.content).leaf)
    told = checked(tmp_path, after.content, vkey)
    assert (told.exit_code, str(anna.id) in told.output) == (0, True)


# --- verification ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
async def certificate(office):
    """A certificate, its key, and its evidence."""
    contract = await signed(office, "12500.00", title="North site")
    answer, vkey = await made(office, contract)
    return answer.content, vkey, evidence_in(answer.content)


async def test_a_sound_one_is_verified_by_the_command_and_by_the_one_file(
    certificate, tmp_path, one_file, capsys
):
    pdf, vkey, evidence = certificate
    told = checked(tmp_path, pdf, vkey)
    assert (told.exit_code, told.output.splitlines()[-1]) == (0, "ok"), told.output
    position = stored_of(evidence.leaf).position
    assert f"entry {position} under the root of " in told.output
    assert one_file.verify(pdf, [vkey]) == 0
    assert '"amount":"12500.00"' in capsys.readouterr().out


async def test_the_one_file_ends_with_the_codes_it_promises(certificate, tmp_path, one_file, monkeypatch):
    pdf, vkey, evidence = certificate
    bent_one = bent(evidence, document=evidence.document.replace(b"12500.00", b"92500.00"))
    for file, pinned, code_ in ((pdf, vkey, 0), (pdf, STRANGER, 4), (bent_one, vkey, 2), (b"%PDF", vkey, 2)):
        (tmp_path / "certificate.pdf").write_bytes(file)
        typed = ["verify_certificate.py", str(tmp_path / "certificate.pdf"), "--key", pinned]
        monkeypatch.setattr("sys.argv", typed)
        assert one_file.main() == code_


async def test_a_leaf_of_no_time_at_all_is_found(certificate, tmp_path):
    """Whoever writes his own log writes what he likes."""
    pdf, vkey, evidence = certificate
    forged = msgspec.json.decode(evidence.leaf)
    forged[5] = 2**62
    whole = attached(replace(evidence, leaf=msgspec.json.encode(forged))).encode()
    file = b"%PDF-1.7\nstream\n" + zlib.compress(whole) + b"\nendstream\n"
    told = checked(tmp_path, file, vkey)
    assert (told.exit_code, told.exception and type(told.exception)) == (2, SystemExit), told.output
    assert len(pdf) > len(file)


async def test_another_key_does_not_vouch_for_it(certificate, tmp_path, one_file):
    pdf, vkey, _ = certificate
    assert checked(tmp_path, pdf, STRANGER).exit_code == 4
    assert one_file.verify(pdf, [STRANGER]) == 4
    assert checked(tmp_path, pdf, STRANGER, vkey).exit_code == 0
    assert checked(tmp_path, pdf).exit_code == 2  # a usage error: no key was given
    assert checked(tmp_path, pdf, "nonsense").exit_code == 2


def bent(evidence: Evidence, **changed) -> bytes:
    """A certificate that its own template made, of evidence that was tampered with."""
    return page(replace(evidence, **changed))


def other_leaf(evidence):
    return evidence.leaf[:-1] + b" ]"


FORGERIES = {
    "another amount in the document": lambda e: {"document": e.document.replace(b"12500.00", b"92500.00")},
    "another title in the document": lambda e: {"document": e.document.replace(b"North", b"South")},
    "another entry": lambda e: {"leaf": other_leaf(e)},
    "a later checkpoint's size": lambda e: {"proof": e.proof.replace(f"{ORIGIN}\n", f"{ORIGIN}\n1", 1)},
    "another index": lambda e: {"proof": e.proof.replace("index ", "index 1", 1)},
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
async def test_evidence_that_was_bent_is_found_whoever_sets_the_page_again(
    certificate, tmp_path, one_file, forgery
):
    _, vkey, evidence = certificate
    changed = forgery(evidence)
    assert changed != {name: getattr(evidence, name) for name in changed}
    pdf = bent(evidence, **changed)
    assert checked(tmp_path, pdf, vkey).exit_code == 2
    with pytest.raises((one_file.Tampered, one_file.InvalidSignature, ValueError)):
        one_file.verify(pdf, [vkey])


async def test_a_signature_that_is_not_by_its_key_is_found(certificate, tmp_path, one_file):
    _, vkey, evidence = certificate
    head, dash, value = evidence.proof.rpartition(" ")
    raw = bytearray(b64decode(value))
    raw[-1] ^= 1
    proof = f"{head}{dash}{b64encode(raw).decode()}\n"
    assert checked(tmp_path, bent(evidence, proof=proof), vkey).exit_code == 2
    with pytest.raises(one_file.InvalidSignature):
        one_file.verify(bent(evidence, proof=proof), [vkey])


async def test_a_page_that_says_something_else_than_its_evidence_is_found(certificate, tmp_path):
    pdf, vkey, _ = certificate
    for place in (len(pdf) // 3, len(pdf) // 2, len(pdf) - 40):
        changed = bytearray(pdf)
        changed[place] ^= 1
        told = checked(tmp_path, bytes(changed), vkey)
        assert told.exit_code == 2, told.output
    assert checked(tmp_path, pdf + b"\n", vkey).exit_code == 2


async def test_a_name_is_the_offices_word_and_is_said_to_be(certificate, tmp_path):
    _, vkey, evidence = certificate
    told = checked(tmp_path, bent(evidence, signer="Somebody Else"), vkey)
    assert told.exit_code == 0
    assert "in the office's words, which no proof covers: Somebody Else with " in told.output


async def test_what_is_no_certificate_or_two_is_none(certificate, tmp_path, one_file):
    pdf, vkey, _ = certificate
    for file in (b"", b"%PDF-1.7\n%%EOF", pdf[: len(pdf) // 2], pdf + pdf):
        assert checked(tmp_path, file, vkey).exit_code == 2
        with pytest.raises(one_file.Tampered):
            one_file.verify(file, [vkey])


async def test_one_that_another_version_set_is_not_called_sound(certificate, tmp_path):
    _, vkey, evidence = certificate
    told = checked(tmp_path, bent(evidence, set_by="typst 0.1.0, certificate.typ 00"), vkey)
    assert told.exit_code == 3
    assert "cannot be set again" in told.output
