"""Everything that can be looked up, by noun."""

from typing import Any
from zoneinfo import ZoneInfo

from litestar import Router

from api.lists import Lists
from api.queries import access as access_queries
from api.queries import api_client as api_client_queries
from api.queries import audit as audit_queries
from api.queries import certificate as certificate_queries
from api.queries import contact as contact_queries
from api.queries import contract as contract_queries
from api.queries import dashboard as dashboard_queries
from api.queries import department as department_queries
from api.queries import document as document_queries
from api.queries import event as event_queries
from api.queries import export as export_queries
from api.queries import file as file_queries
from api.queries import grant as grant_queries
from api.queries import imports as import_queries
from api.queries import invoice as invoice_queries
from api.queries import ledger as ledger_queries
from api.queries import legal_hold as legal_hold_queries
from api.queries import letter as letter_queries
from api.queries import lookup as lookup_queries
from api.queries import message as message_queries
from api.queries import notice as notice_queries
from api.queries import notification as notification_queries
from api.queries import occasion as occasion_queries
from api.queries import organisation as organisation_queries
from api.queries import payment as payment_queries
from api.queries import permission as permission_queries
from api.queries import personal_data as personal_data_queries
from api.queries import reference as reference_queries
from api.queries import resource as resource_queries
from api.queries import search as search_queries
from api.queries import session as session_queries
from api.queries import user as user_queries
from api.queries.event_sight import EventSight
from api.queries.past import Past
from api.queries.records import Records, Sight
from api.refs import Refs
from api.streams import Streams
from infrastructure.audience import audience_of
from infrastructure.bootstrap import System, clock
from infrastructure.personal_export import MODELS, PersonalExport
from projections.api_client import API_CLIENTS
from projections.contact import CONTACTS
from projections.contract import CONTRACTS
from projections.contract import LISTING as contract_list  # noqa: N811 - one of many of that name
from projections.department import DEPARTMENTS
from projections.document import DOCUMENTS
from projections.export import EXPORTS
from projections.grant import GRANTS
from projections.imports import IMPORTS
from projections.invoice import INVOICES
from projections.legal_hold import LEGAL_HOLDS
from projections.letter import LETTERS
from projections.letter import listing as letter_list
from projections.lists import Listing
from projections.message import MESSAGES
from projections.notice import NOTICES
from projections.notification import NOTIFICATIONS
from projections.occasion import LISTING as occasion_list  # noqa: N811 - one of many of that name
from projections.occasion import OCCASIONS
from projections.organisation import ORGANISATIONS
from projections.payment import PAYMENTS
from projections.projection import Fold
from projections.resource import RESOURCES
from projections.user import USERS


def queries(system: System, pages: Lists, refs: Refs, streams: Streams) -> list[Router]:
    """What signed-in people and API clients may look up."""
    api_clients = api_client_queries.WithUse(system.records[API_CLIENTS.name], system.known_clients)
    exports = export_queries.OwnExports(system.records[EXPORTS.name], system, system.objects, clock)
    return [
        api_client_queries.routes(api_clients, system, Past(system, API_CLIENTS), pages, clock),
        *contact_queries.routes(
            _records(system, CONTACTS, contact_queries.ContactSight(clock)),
            system.records["organisation"],
            pages,
            clock,
        ),
        contract_queries.routes(
            _records(system, CONTRACTS, contract_queries.ContractSight(clock)), pages, refs, clock
        ),
        *_money(system, pages, refs),
        certificate_queries.routes(
            _records(system, CONTRACTS, contract_queries.ContractSight(clock)),
            system.records[CONTRACTS.name],
            system.certificate_papers,
            system.objects,
            refs,
            clock,
        ),
        _occasions(system, pages),
        dashboard_queries.routes(pages, _counted(system), ZoneInfo(system.settings.time_zone), clock),
        *document_queries.routes(
            _records(system, DOCUMENTS, document_queries.DocumentSight(clock)),
            document_queries.Reads(
                system.records["document"],
                system.records["document_type"],
                system.records["organisation"],
                system.records["file"],
            ),
            system.objects,
            pages,
            system,
            clock,
        ),
        export_queries.routes(exports, system.exported_lists, pages),
        export_queries.audit_routes(exports, clock),
        file_queries.routes(
            file_queries.BoundFiles(system.records["file"], system.claims, system),
            system,
            system.objects,
            file_queries.FileSight(
                system.claims,
                viewers={
                    MESSAGES.name: message_queries.viewer(system.records[MESSAGES.name]),
                    DOCUMENTS.name: document_queries.viewer(system.records[DOCUMENTS.name], clock),
                    LETTERS.name: letter_queries.viewer(system.records[LETTERS.name], clock),
                },
                clock=clock,
            ),
        ),
        department_queries.routes(
            _records(system, DEPARTMENTS, department_queries.DepartmentSight(clock)), pages, refs, clock
        ),
        organisation_queries.routes(
            _records(system, ORGANISATIONS, organisation_queries.OrganisationSight(clock)), pages, clock
        ),
        user_queries.routes(_records(system, USERS, user_queries.UserSight(clock)), pages, clock),
        grant_queries.routes(_records(system, GRANTS, grant_queries.GrantSight(clock)), pages, clock),
        import_queries.routes(
            system.records[IMPORTS.name],
            system,
            Past(system, IMPORTS),
            system.import_progress,
            pages,
            clock,
        ),
        access_queries.routes(system.evaluations, system.standings, system.outside.people, system, clock),
        permission_queries.routes(
            system.permissions, system.rights, system, system.records[USERS.name], system.pool, clock
        ),
        personal_data_queries.routes(
            system.erasures, PersonalExport(system.pool, system.log), system, MODELS
        ),
        reference_queries.routes(pages),
        resource_queries.routes(
            _records(system, RESOURCES, resource_queries.ResourceSight(clock)), pages, clock
        ),
        letter_queries.routes(
            _records(system, LETTERS, letter_queries.LetterSight(clock)),
            system.records[LETTERS.name],
            pages,
            system.pool,
            system,
            refs,
            system.settings.time_zone,
            clock,
        ),
        lookup_queries.routes(system.registers.lookups, system, clock),
        notice_queries.routes(_records(system, NOTICES, notice_queries.NoticeSight()), pages),
        search_queries.routes(
            system.pool, system.texts, lambda name: system.positions.known.get(name, 0), system, clock
        ),
        legal_hold_queries.routes(
            _records(system, LEGAL_HOLDS, legal_hold_queries.LegalHoldSight(clock)), pages, clock
        ),
        audit_queries.routes(system, pages, clock),
        _events(system, streams),
    ]


def own_queries(system: System, pages: Lists) -> list[Router]:
    """What people alone look up."""
    return [
        user_queries.own_routes(_records(system, USERS, user_queries.UserSight(clock))),
        notification_queries.routes(
            _records(system, NOTIFICATIONS, notification_queries.NotificationSight())
        ),
        *message_queries.routes(
            Records(
                system.records[MESSAGES.name],
                system,
                Past(message_queries.WithReading(system), MESSAGES),
                message_queries.MessageSight(),
            ),
            system.records["dialog"],
            pages,
            system.pool,
            system,
        ),
        session_queries.routes(pages, system.accounts),
    ]


def _events(system: System, streams: Streams) -> Router:
    sight = EventSight(system.records, system, clock)
    follower = event_queries.Follower(
        system.log, system.positions, sight, system.callers.caller, lambda: system.failed
    )
    return event_queries.routes(follower, sight, system, streams)


def _money(system: System, pages: Lists, refs: Refs) -> list[Router]:
    contracts, sight = system.records[CONTRACTS.name], contract_queries.ContractSight(clock)
    return [
        payment_queries.routes(_records(system, PAYMENTS, sight), contracts, pages, refs, clock),
        invoice_queries.routes(
            _records(system, INVOICES, sight),
            invoice_queries.Reads(system.records[INVOICES.name], contracts),
            system.invoices,
            system.invoice_papers,
            system.objects,
            pages,
            clock,
        ),
        ledger_queries.routes(
            _records(system, ORGANISATIONS, organisation_queries.OrganisationSight(clock)),
            system.records[ORGANISATIONS.name],
            system,
            system.pool,
            pages,
            clock,
        ),
    ]


def _counted(system: System) -> dict[str, Listing]:
    """The lists that dashboards count, as their routes have them."""
    found = (contract_list, occasion_list, letter_list(system.settings.time_zone))
    return {audience_of(each).path: each for each in found}


def _occasions(system: System, pages: Lists) -> Router:
    past = Past(occasion_queries.OccasionStreams(system, system.claims), OCCASIONS)
    sight = occasion_queries.OccasionSight(clock)
    return occasion_queries.routes(
        Records(system.records[OCCASIONS.name], system, past, sight),
        pages,
        system.pool,
        system,
        lambda name: system.positions.known.get(name, 0),
        f"{system.settings.base_url}/api/v1/occasions",
        clock,
    )


def _records(system: System, fold: Fold[Any], sight: Sight) -> Records:
    return Records(system.records[fold.name], system, Past(system, fold), sight)
