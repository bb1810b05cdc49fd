"""What follows for an organisation from its contracts, documents, resources, and where its addresses lie."""

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from domain.contract.events import ContractCanceled, ContractSigned
from domain.document.events import DocumentRecorded
from domain.organisation.events import Address, Addresses, OrganisationAdded, OrganisationChanged
from domain.postal_index.events import PostalCode, PostalIndexLoaded, batch_id
from domain.reference.events import Entry, ReferenceLoaded, list_id
from domain.resource.events import ResourceAdded, ResourceChanged, ResourceRetired
from projections.organisation import ORGANISATIONS
from tests.scenario import given

pytestmark = pytest.mark.anyio

ALPHA, BETA, ONE, TWO, THREE, TYPE, ANNA = (UUID(int=n) for n in range(1, 8))
BOTH = (ALPHA, OrganisationAdded(full_name="Alpha")), (BETA, OrganisationAdded(full_name="Beta"))
BATCHES = pytest.mark.parametrize("batch", [1, 3, 500])


def signed(day, kind="cooperation", organisation=ALPHA):
    return ContractSigned(
        signed_by=ANNA,
        signed_at=datetime(2026, 3, day, 12, tzinfo=UTC),
        signed_version=1,
        document_sha256="ab",
        organisation_id=organisation,
        kind=kind,
    )


def on_record(day, *, prefix="agreement", is_main=True, number=1):
    return DocumentRecorded(
        organisation_id=ALPHA,
        type_id=TYPE,
        prefix=prefix,
        is_main=is_main,
        number=number,
        date_approved=date(2026, 3, day),
    )


async def shown(dsn, *facts, batch=500):
    found = await given(ORGANISATIONS, *BOTH, *facts).delivered(dsn, times=2, batch=batch)
    assert (found[BETA].agreement, found[BETA].document_types, found[BETA].version) == (None, (), 1)
    return found[ALPHA]


@BATCHES
async def test_a_signed_cooperation_is_an_agreement_until_it_is_canceled(dsn, batch):
    facts = (ONE, signed(2)), (TWO, signed(5)), (THREE, signed(9, kind="sale"))
    alpha = await shown(dsn, *facts, batch=batch)
    assert (alpha.agreement.date, alpha.agreement.source, alpha.agreement.source_id) == (
        date(2026, 3, 5),
        "contract",
        TWO,
    )
    assert alpha.version == 1, "what others say is no event of the organisation's own"


@BATCHES
async def test_a_canceled_one_leaves_the_one_before_it(dsn, batch):
    canceled = TWO, ContractCanceled(reason="over", organisation_id=ALPHA)
    alpha = await shown(dsn, (ONE, signed(2)), (TWO, signed(5)), canceled, batch=batch)
    assert (alpha.agreement.source_id, len(alpha.agreements)) == (ONE, 1)


@BATCHES
async def test_a_main_document_is_an_agreement_of_the_day_it_was_approved(dsn, batch):
    facts = (
        (ONE, on_record(2)),
        (ONE, on_record(7, number=2)),
        (TWO, on_record(9, prefix="charter", is_main=False)),
    )
    alpha = await shown(dsn, *facts, batch=batch)
    assert (alpha.agreement.date, alpha.agreement.source) == (date(2026, 3, 7), "document")
    assert alpha.document_types == ("agreement", "charter")


@BATCHES
async def test_who_owns_a_critical_resource_is_a_subject_of_kii(dsn, batch):
    facts = [
        (ONE, ResourceAdded(organisation_id=ALPHA, name="A", is_okii=True)),
        (TWO, ResourceAdded(organisation_id=ALPHA, name="B")),
        (TWO, ResourceChanged(organisation_id=ALPHA, is_okii=True)),
        (ONE, ResourceRetired(organisation_id=ALPHA)),
        (TWO, ResourceChanged(organisation_id=ALPHA, name="C")),
    ]
    alpha = await shown(dsn, *facts, batch=batch)
    assert (alpha.is_subject_kii, alpha.critical_resource_ids) == (True, (TWO,))


async def test_and_is_none_when_there_is_no_such_resource_left(dsn):
    added = ONE, ResourceAdded(organisation_id=ALPHA, name="A", is_okii=True)
    alpha = await shown(dsn, added, (ONE, ResourceChanged(organisation_id=ALPHA, is_okii=False)))
    assert (alpha.is_subject_kii, alpha.critical_resource_ids) == (False, ())


# --- regions ---------------------------------------------------------------------------------------------------

REGIONS = (
    list_id("region"),
    ReferenceLoaded(
        kind="region",
        entries=(Entry(code="55", name="Omsk", part_of="7"), Entry(code="77", name="Moscow", part_of="1")),
    ),
)
INDEX = (
    batch_id(ONE, 1),
    PostalIndexLoaded(
        import_id=ONE,
        number=1,
        codes=(
            PostalCode(code="644000", region_code="55"),
            PostalCode(code="101000", region_code="77"),
        ),
    ),
)
IN_OMSK = (
    ALPHA,
    OrganisationChanged(addresses=Addresses(legal=Address(text="Omsk, Lenina 1", postal_code="644000"))),
)


@BATCHES
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 2, 0)])
async def test_the_region_follows_from_the_addresses_whatever_came_first(dsn, batch, order):
    facts = [(REGIONS, INDEX, IN_OMSK)[place] for place in order]
    found = await given(ORGANISATIONS, *BOTH, *facts).delivered(dsn, batch=batch)
    assert (found[ALPHA].region_code, found[ALPHA].okrug_id) == ("55", "7")
    assert (found[BETA].region_code, found[BETA].okrug_id) == (None, None)


@BATCHES
async def test_a_region_that_was_given_comes_first(dsn, batch):
    given_one = ALPHA, OrganisationChanged(region_code="77")
    facts = REGIONS, INDEX, IN_OMSK, given_one
    found = await given(ORGANISATIONS, *BOTH, *facts).delivered(dsn, batch=batch)
    assert (found[ALPHA].region_code, found[ALPHA].okrug_id) == ("77", "1")


@BATCHES
async def test_a_region_that_is_taken_back_gives_way_to_the_addresses(dsn, batch):
    steps = [(ALPHA, OrganisationChanged(region_code=code)) for code in ("77", None)]
    found = await given(ORGANISATIONS, *BOTH, REGIONS, INDEX, IN_OMSK, *steps).delivered(dsn, batch=batch)
    assert (found[ALPHA].region_code, found[ALPHA].okrug_id) == ("55", "7")


@BATCHES
async def test_when_a_code_moves_the_organisation_moves_with_it(dsn, batch):
    moved = (
        batch_id(ONE, 2),
        PostalIndexLoaded(import_id=ONE, number=2, codes=(PostalCode(code="644000", region_code="77"),)),
    )
    found = await given(ORGANISATIONS, *BOTH, REGIONS, INDEX, IN_OMSK, moved).delivered(dsn, batch=batch)
    assert (found[ALPHA].region_code, found[ALPHA].okrug_id, found[ALPHA].version) == ("77", "1", 2)
