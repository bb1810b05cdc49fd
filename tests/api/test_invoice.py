"""Invoices and credit notes over HTTP: numbers without gaps, what freezes, and the PDF."""

import asyncio
from datetime import timedelta
from hashlib import sha256
from uuid import UUID, uuid4

import pytest

from infrastructure.bootstrap import clock
from infrastructure.operations import Taken
from infrastructure.papers.invoice_papers import content
from tests import office as offices
from tests import servers
from tests.money import code, credit, drafted, euros, invoice, key, pay, signed
from workers.operations import credit_note_render, invoice_render

pytestmark = pytest.mark.anyio


@pytest.fixture(scope="module")
async def office(cluster, nats_server, object_store):
    """One API for all tests here, with an object store."""
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, **object_store.settings) as opened:
            yield opened


def counter(answer):
    return int(answer.json()["number"].rpartition("-")[2])


# --- issue ------------------------------------------------------------------------------------------------------


async def test_an_invoice_gets_the_next_number_and_shows_seller_and_buyer(office):
    address = {"text": "5 quai des Brumes", "postal_code": "76600", "locality": "Le Havre"}
    organisation = await office.organisation(
        full_name="Brumes SA", identifiers={"siren": "732829320"}, addresses={"legal": address}
    )
    contract = await signed(office, organisation=organisation, custom_id=f"N-{uuid4().hex[:8]}")
    first = await invoice(office.admin, contract, euros("600"), due_on="2026-12-31")
    assert first.status_code == 201, first.text
    second = await invoice(office.admin, contract, euros("400.00"))
    assert counter(second) == counter(first) + 1
    year = first.json()["number"].split("-")[1]
    assert first.json()["number"] == f"F-{year}-{counter(first):06d}"
    shown = await office.admin.get(first.headers["location"].removeprefix("/api/v1"))
    body = shown.json()
    assert (body["id"], body["number"], body["amount"], body["due_on"]) == (
        first.json()["id"],
        first.json()["number"],
        euros("600.00"),
        "2026-12-31",
    )
    assert body["buyer"] == {
        "name": "Brumes SA",
        "address": "5 quai des Brumes\n76600 Le Havre",
        "identifiers": {"siren": "732829320"},
    }
    assert body["seller"]["name"]
    assert body["issued_on"].startswith(year)
    assert (await office.admin.get(contract)).json()["invoiced"] == euros("1000.00")


async def test_an_invoice_is_found_by_its_number_too(office):
    issued = (await invoice(office.admin, await signed(office), euros("1.00"))).json()
    by_number = await office.admin.get(f"/invoices/{issued['number']}")
    assert by_number.json()["id"] == issued["id"]
    etag = by_number.headers["etag"]
    again = await office.admin.get(f"/invoices/{issued['id']}", headers={"If-None-Match": etag})
    assert again.status_code == 304
    for ref in ("F-1999-000001", issued["number"].replace("-0", "-00", 1), str(uuid4()), "x"):
        assert (await office.admin.get(f"/invoices/{ref}")).status_code == 404, ref


async def test_what_an_invoice_lacks_is_warned_of(office):
    answer = await invoice(office.admin, await signed(office), euros("1.00"))
    assert {each["pointer"] for each in answer.json()["warnings"]} == {"/seller", "/buyer/address"}


async def test_a_renamed_buyer_stays_as_he_was_called(office):
    organisation = await office.organisation(full_name="Before")
    issued = (
        await invoice(office.admin, await signed(office, organisation=organisation), euros("1.00"))
    ).json()
    await office.admin.patch(organisation, json={"full_name": "After"})
    assert (await office.admin.get(f"/invoices/{issued['id']}")).json()["buyer"]["name"] == "Before"


async def test_issued_means_frozen(office):
    issued = (await invoice(office.admin, await signed(office), euros("1.00"))).json()
    async with office.nothing_stored():
        for method in ("PATCH", "PUT", "DELETE"):
            answer = await office.admin.request(method, f"/invoices/{issued['id']}", json={"due_on": None})
            assert answer.status_code == 405, method


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (euros("1000.01"), (422, "contract.invoice_too_large")),
        (euros("0.00"), (422, "contract.amount_not_positive")),
        (euros("-1.00"), (422, "contract.amount_not_positive")),
        (euros("1.001"), (422, "money.invalid")),
        ({"amount": "1.00", "currency": "USD"}, (422, "contract.currency_differs")),
    ],
)
async def test_what_cannot_be_invoiced_is_refused_and_uses_no_number_up(office, amount, said):
    contract = await signed(office)
    before = await invoice(office.admin, contract, euros("1.00"))
    async with office.nothing_stored():
        assert code(await invoice(office.admin, contract, amount)) == said
    after = await invoice(office.admin, contract, euros("1.00"))
    assert counter(after) == counter(before) + 1


@pytest.mark.parametrize("series", ["f", "F-1", "", "AV", "IN", "OUT", "ABCDEFGHI", "1A"])
async def test_a_series_is_a_few_capital_letters_and_none_of_another_paper(office, series):
    contract = await signed(office)
    async with office.nothing_stored():
        answer = await invoice(office.admin, contract, euros("1.00"), series=series)
    assert answer.status_code == 400


async def test_each_series_counts_by_itself(office):
    contract = await signed(office)
    first = await invoice(office.admin, contract, euros("1.00"), series="PARIS")
    other = await invoice(office.admin, contract, euros("1.00"), series="LYON")
    assert (counter(first), counter(other)) == (1, 1)
    assert first.json()["number"].startswith("PARIS-")


async def test_only_a_signed_contract_is_invoiced(office):
    async with office.nothing_stored():
        unknown = await invoice(office.admin, f"/contracts/{uuid4()}", euros("1.00"))
    assert code(unknown) == (404, "contract.unknown")
    contract = await drafted(office)
    async with office.nothing_stored():
        assert code(await invoice(office.admin, contract, euros("1.00"))) == (409, "contract.not_signed")
    await office.admin.post(f"{contract}/cancel", json={"reason": "no"}, headers=key())
    async with office.nothing_stored():
        assert code(await invoice(office.admin, contract, euros("1.00"))) == (409, "contract.canceled")


async def test_an_invoice_needs_a_key_and_a_replay_gets_the_same_number(office):
    contract, headers = await signed(office), key()
    async with office.nothing_stored():
        answer = await office.admin.post(f"{contract}/invoices", json={"amount": euros("1.00")})
    assert code(answer) == (400, "idempotency_key_missing")
    answers = await asyncio.gather(
        *(invoice(office.admin, contract, euros("1.00"), headers) for _ in range(10))
    )
    assert {(each.status_code, each.text) for each in answers} == {(201, answers[0].text)}
    assert (await office.admin.get(contract)).json()["invoiced"] == euros("1.00")


async def test_a_rehearsal_uses_no_number_up(office):
    contract = await signed(office)
    async with office.nothing_stored():
        body = {"amount": euros("1.00")}
        rehearsed = await office.admin.post(f"{contract}/invoices?dry_run=true", json=body)
    (event,) = rehearsed.json()["events"]
    issued = await invoice(office.admin, contract, euros("1.00"))
    assert (event["topic"], event["data"]["number"]) == ("contract.invoiced.v1", issued.json()["number"])


async def test_many_at_once_leave_no_gap_and_share_no_number(office):
    contracts = [await signed(office) for _ in range(5)]
    answers = await asyncio.gather(
        *(
            invoice(office.admin, contract, euros("10.00"), series="RUSH")
            for contract in contracts
            for _ in range(8)
        )
    )
    assert sorted(map(counter, answers)) == list(range(1, 41))


async def test_who_may_not_invoice_is_told_so_and_who_may_not_see_learns_nothing(office):
    contract = await signed(office)
    issued = (await invoice(office.admin, contract, euros("1.00"))).json()
    viewer, nobody = await office.user("contract:view"), await office.user()
    async with office.nothing_stored():
        assert code(await invoice(viewer.client, contract, euros("1.00"))) == (403, "forbidden")
        assert code(await invoice(nobody.client, contract, euros("1.00"))) == (404, "contract.unknown")
        assert code(await credit(viewer.client, issued["id"])) == (403, "forbidden")
        assert code(await credit(nobody.client, issued["id"])) == (404, "contract.invoice_unknown")
    for path in (f"/invoices/{issued['id']}", f"/invoices/{issued['id']}/pdf"):
        assert code(await viewer.client.get(path)) == (403, "forbidden")
        assert (await nobody.client.get(path)).status_code == 404
    assert (await viewer.client.get("/invoices")).json()["data"] == []


async def test_who_holds_the_right_in_an_organisation_sees_its_invoices_alone(office):
    organisation = await office.organisation()
    mine = (
        await invoice(office.admin, await signed(office, organisation=organisation), euros("1.00"))
    ).json()
    await invoice(office.admin, await signed(office), euros("1.00"))
    scope = ("organisation", organisation.rpartition("/")[2])
    biller = await office.user("contract:view", "contract:invoice", scope=scope)
    listed = (await biller.client.get("/invoices")).json()["data"]
    assert [each["id"] for each in listed] == [mine["id"]]
    assert (await biller.client.get(f"/invoices/{mine['id']}")).status_code == 200


async def test_who_answers_for_contracts_sees_their_invoices(office):
    biller = await office.user()
    for right in ("contract:view", "contract:invoice"):
        office.grant(biller.id, right, scope=("own", "*"))
    organisation = await office.organisation(account_manager_id=str(biller.id))
    mine = (
        await invoice(office.admin, await signed(office, organisation=organisation), euros("1.00"))
    ).json()
    listed = (await biller.client.get("/invoices")).json()["data"]
    assert [each["id"] for each in listed] == [mine["id"]]


async def test_invoices_are_filtered_by_what_people_know_of_them(office):
    organisation = await office.organisation()
    contract = await signed(office, organisation=organisation)
    first = (await invoice(office.admin, contract, euros("100.00"), due_on="2026-12-31")).json()
    second = (await invoice(office.admin, contract, euros("200.00"))).json()
    await credit(office.admin, first["id"])

    async def found(wanted):
        scope = f"organisation_id={organisation.rpartition('/')[2]}"
        answer = await office.admin.get("/invoices", params={"filter": f"{scope} AND {wanted}"})
        assert answer.status_code == 200, answer.text
        return [each["id"] for each in answer.json()["data"]]

    assert await found("open=true") == [second["id"]]
    assert await found(f'number="{first["number"]}"') == [first["id"]]
    assert await found("amount>=150") == [second["id"]]
    assert await found("due_on<2027-01-01") == [first["id"]]
    assert await found("issued_on>=2020-01-01") == [second["id"], first["id"]]
    assert await found(f"contract_id={contract.rpartition('/')[2]}") == [second["id"], first["id"]]


# --- credit -----------------------------------------------------------------------------------------------------


async def test_a_credit_note_takes_back_a_part_and_then_the_rest(office):
    contract = await signed(office)
    issued = (await invoice(office.admin, contract, euros("600.00"))).json()
    part = await credit(office.admin, issued["number"], amount=euros("100"), reason="Damaged.")
    assert part.status_code == 201, part.text
    assert part.json()["number"].startswith("AV-")
    rest = await credit(office.admin, issued["id"])
    assert counter(rest) == counter(part) + 1
    shown = (await office.admin.get(f"/invoices/{issued['id']}")).json()
    assert (shown["state"], shown["credited"]) == ("credited", euros("600.00"))
    notes = [(each["number"], each["amount"]["amount"], each["reason"]) for each in shown["credit_notes"]]
    assert notes == [(part.json()["number"], "100.00", "Damaged."), (rest.json()["number"], "500.00", None)]
    assert (await office.admin.get(contract)).json()["invoiced"] == euros("0.00")
    async with office.nothing_stored():
        assert code(await credit(office.admin, issued["id"])) == (409, "contract.invoice_credited")


@pytest.mark.parametrize(
    ("amount", "said"),
    [
        (euros("600.01"), (422, "contract.credit_too_large")),
        (euros("0.00"), (422, "contract.amount_not_positive")),
        (euros("1.001"), (422, "money.invalid")),
        ({"amount": "1.00", "currency": "USD"}, (422, "contract.currency_differs")),
    ],
)
async def test_what_cannot_be_credited_is_refused(office, amount, said):
    issued = (await invoice(office.admin, await signed(office), euros("600.00"))).json()
    async with office.nothing_stored():
        assert code(await credit(office.admin, issued["id"], amount=amount)) == said


async def test_a_credit_note_is_written_on_the_invoice_as_it_was_read_whatever_else_happened(office):
    contract = await signed(office)
    issued = (await invoice(office.admin, contract, euros("600.00"))).json()
    seen = (await office.admin.get(f"/invoices/{issued['id']}")).headers["etag"]
    assert (await pay(office.admin, contract, euros("1.00"))).status_code == 201
    part = await credit(office.admin, issued["id"], {**key(), "If-Match": seen}, amount=euros("100"))
    assert part.status_code == 201, part.text
    async with office.nothing_stored():
        again = await credit(office.admin, issued["id"], {**key(), "If-Match": seen}, amount=euros("100"))
        assert code(again) == (412, "version_mismatch")


async def test_a_credit_note_needs_a_key_and_an_invoice(office):
    issued = (await invoice(office.admin, await signed(office), euros("1.00"))).json()
    note = (await credit(office.admin, issued["id"])).json()
    async with office.nothing_stored():
        answer = await office.admin.post(f"/invoices/{issued['id']}/credit-note", json={})
        assert code(answer) == (400, "idempotency_key_missing")
        for ref in (str(uuid4()), "F-1999-000001", note["number"], "x"):
            assert code(await credit(office.admin, ref)) == (404, "contract.invoice_unknown"), ref


async def test_an_uncredited_invoice_holds_a_contract(office):
    contract = await signed(office)
    issued = (await invoice(office.admin, contract, euros("600.00"))).json()
    less = {"amount": euros("599.99"), "reason": "less"}
    async with office.nothing_stored():
        canceled = await office.admin.post(f"{contract}/cancel", json={"reason": "no"}, headers=key())
        amended = await office.admin.post(f"{contract}/amend", json=less, headers=key())
    assert (code(canceled), canceled.json()["invoices"]) == ((409, "contract.invoiced"), [issued["number"]])
    assert code(amended) == (422, "contract.amount_below_invoiced")
    await credit(office.admin, issued["id"])
    canceled = await office.admin.post(f"{contract}/cancel", json={"reason": "no"}, headers=key())
    assert canceled.status_code == 200


# --- the PDF ----------------------------------------------------------------------------------------------------


async def test_the_pdf_comes_when_a_job_has_made_it_and_is_always_the_same_bytes(office):
    contract = await signed(office)
    issued = (await invoice(office.admin, contract, euros("600.00"))).json()
    path = f"/invoices/{issued['number']}/pdf"
    waiting = await office.admin.get(path)
    assert (waiting.status_code, waiting.headers["retry-after"], waiting.json()) == (
        202,
        "1",
        {"state": "making"},
    )
    about = office.owner.execute(
        "select about from operations where kind = 'invoice.render' and about ->> 'invoice_id' = %s",
        (issued["id"],),
    ).fetchall()
    assert about == [({"contract_id": contract.rpartition("/")[2], "invoice_id": issued["id"]},)]

    taken = Taken(id=uuid4(), kind="invoice.render", about=about[0][0], attempt=1)
    await invoice_render(office.system, taken)
    made = await office.admin.get(path)
    assert (made.status_code, made.headers["content-type"]) == (200, "application/pdf")
    assert made.headers["content-disposition"].startswith(f'attachment; filename="{issued["number"]}.pdf"')
    assert made.content.startswith(b"%PDF-1.7")
    assert b"<pdfaid:part>3</pdfaid:part><pdfaid:conformance>B" in made.content
    assert made.headers["etag"] == f'"{sha256(made.content).hexdigest()}"'
    await invoice_render(office.system, taken)
    again = await office.admin.get(path)
    assert again.content == made.content
    same = await office.admin.get(path, headers={"If-None-Match": made.headers["etag"]})
    assert same.status_code == 304


async def test_a_pdf_that_the_store_has_lost_is_made_again(office):
    contract = await signed(office)
    issued = (await invoice(office.admin, contract, euros("600.00"))).json()
    ids = UUID(contract.rpartition("/")[2]), UUID(issued["id"])
    await office.system.invoice_papers.make(*ids)
    await office.system.objects.remove(ids[1])
    assert (await office.admin.get(f"/invoices/{issued['id']}/pdf")).status_code == 202


async def test_a_pdf_belongs_to_its_invoice_and_is_not_swept_away(office):
    contract = await signed(office)
    issued = (await invoice(office.admin, contract, euros("600.00"))).json()
    ids = UUID(contract.rpartition("/")[2]), UUID(issued["id"])
    await office.system.invoice_papers.make(*ids)
    await office.system.file_upkeep.sweep(clock() + timedelta(hours=36))
    assert (await office.admin.get(f"/invoices/{issued['id']}/pdf")).status_code == 200


async def test_a_credit_note_has_a_pdf_of_its_own(office):
    organisation = await office.organisation(full_name="Brumes SA")
    contract = await signed(office, organisation=organisation)
    issued = (await invoice(office.admin, contract, euros("600.00"))).json()
    note = (await credit(office.admin, issued["id"], amount=euros("100.00"), reason="Damaged 😀")).json()
    path = f"/invoices/{issued['number']}/credit-notes/{note['number']}/pdf"
    assert (await office.admin.get(path)).status_code == 202
    (about,) = office.owner.execute(
        "select about from operations where kind = 'credit_note.render' and about ->> 'credit_note_id' = %s",
        (note["id"],),
    ).fetchone()
    taken = Taken(id=uuid4(), kind="credit_note.render", about=about, attempt=1)
    await credit_note_render(office.system, taken)
    made = await office.admin.get(path)
    assert (made.status_code, made.content[:8]) == (200, b"%PDF-1.7")
    assert made.headers["content-disposition"].startswith(f'attachment; filename="{note["number"]}.pdf"')
    await credit_note_render(office.system, taken)
    by_id = f"/invoices/{issued['id']}/credit-notes/{note['id']}/pdf"
    assert (await office.admin.get(by_id)).content == made.content


async def test_a_credit_note_is_found_below_its_own_invoice_by_who_may_see_that(office):
    contract = await signed(office)
    issued, other = [(await invoice(office.admin, contract, euros("1.00"))).json() for _ in range(2)]
    note = (await credit(office.admin, issued["id"])).json()
    viewer, nobody = await office.user("contract:view"), await office.user()
    path = f"/invoices/{issued['id']}/credit-notes/{note['id']}/pdf"
    assert code(await viewer.client.get(path)) == (403, "forbidden")
    assert (await nobody.client.get(path)).status_code == 404
    for ref in (note["id"], note["number"], issued["id"], "x"):
        wrong = f"/invoices/{other['id']}/credit-notes/{ref}/pdf"
        assert (await office.admin.get(wrong)).status_code == 404, ref


async def test_what_stands_on_a_credit_note_is_what_the_log_says(office):
    organisation = await office.organisation(full_name="Before")
    contract = await signed(office, organisation=organisation)
    issued = (await invoice(office.admin, contract, euros("600.00"))).json()
    await office.admin.patch(organisation, json={"full_name": "After"})
    note = (await credit(office.admin, issued["id"], reason="Damaged.")).json()
    past = await office.system.recorded(UUID(contract.rpartition("/")[2]))
    template, stands = content(past, UUID(note["id"]))
    assert (template, stands["number"], stands["invoice_number"]) == (
        "credit_note",
        note["number"],
        issued["number"],
    )
    assert (stands["buyer"]["name"], stands["reason"], stands["amount"]) == (
        "Before",
        "Damaged.",
        euros("600.00"),
    )
    with pytest.raises(LookupError):
        content(past, uuid4())


# --- the seller -------------------------------------------------------------------------------------------------


async def test_without_a_seller_nothing_is_issued_in_production(office, cluster, nats_server):
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, mode="production") as bare:
            contract = await signed(bare)
            async with bare.nothing_stored():
                answer = await invoice(bare.admin, contract, euros("1.00"))
    assert code(answer) == (422, "contract.particulars_missing")
    missing = {"/seller/name", "/seller/address", "/buyer/address"}
    assert {each["pointer"] for each in answer.json()["errors"]} == missing


async def test_in_production_the_buyer_has_an_address(cluster, nats_server):
    seller = {"seller_name": "Quai SA", "seller_address": "1 Quay, Le Havre"}
    with servers.database(cluster) as addresses:
        async with offices.opened(addresses, nats_server.url, mode="production", **seller) as real:
            organisation = await real.organisation()
            contract = await signed(real, organisation=organisation)
            async with real.nothing_stored():
                refused = await invoice(real.admin, contract, euros("1.00"))
            address = {"legal": {"text": "5 quai des Brumes", "postal_code": "76600", "locality": "Le Havre"}}
            await real.admin.patch(organisation, json={"addresses": address})
            issued = await invoice(real.admin, contract, euros("1.00"))
    assert code(refused) == (422, "contract.particulars_missing")
    assert [each["pointer"] for each in refused.json()["errors"]] == ["/buyer/address"]
    assert (issued.status_code, counter(issued), "warnings" in issued.json()) == (201, 1, False)
