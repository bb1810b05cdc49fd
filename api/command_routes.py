"""Every command there is, by noun."""

from litestar import Router

from api.commands import api_client as api_client_commands
from api.commands import audit_export as audit_export_commands
from api.commands import contact as contact_commands
from api.commands import contract as contract_commands
from api.commands import department as department_commands
from api.commands import document as document_commands
from api.commands import erasure as erasure_commands
from api.commands import export as export_commands
from api.commands import file as file_commands
from api.commands import grant as grant_commands
from api.commands import imports as import_commands
from api.commands import invoice as invoice_commands
from api.commands import legal_hold as legal_hold_commands
from api.commands import letter as letter_commands
from api.commands import lookup as lookup_commands
from api.commands import me as me_commands
from api.commands import message as message_commands
from api.commands import notice as notice_commands
from api.commands import notification as notification_commands
from api.commands import occasion as occasion_commands
from api.commands import organisation as organisation_commands
from api.commands import payment as payment_commands
from api.commands import permission as permission_commands
from api.commands import resource as resource_commands
from api.commands import user as user_commands
from api.cookies import Cookies
from api.refs import Refs
from infrastructure.bootstrap import System


def commands(system: System, refs: Refs) -> list[Router]:
    """What signed-in people and API clients may ask for."""
    return [
        api_client_commands.routes(system.api_clients),
        *contact_commands.routes(system.contacts),
        contract_commands.routes(system.contracts, refs),
        payment_commands.routes(system.payments, refs),
        *invoice_commands.routes(system.invoices, refs),
        occasion_commands.routes(system.occasions),
        *document_commands.routes(system.documents, system.document_types),
        export_commands.routes(system.exports),
        audit_export_commands.routes(system.exports),
        file_commands.routes(system.files),
        department_commands.routes(system.departments, refs),
        organisation_commands.routes(system.organisations),
        resource_commands.routes(system.resources),
        letter_commands.routes(system.letters, refs),
        lookup_commands.routes(system.prefill),
        notice_commands.routes(system.notices),
        *erasure_commands.routes(system.erasures),
        legal_hold_commands.routes(system.legal_holds),
        user_commands.routes(system.users, system.password_changes),
        grant_commands.routes(system.grants),
        import_commands.routes(system.imports),
        permission_commands.routes(system.modules),
    ]


def own_commands(system: System, cookies: Cookies) -> list[Router]:
    """What people alone ask for."""
    return [
        me_commands.routes(system.users, system.password_changes, cookies),
        notification_commands.routes(system.notifications),
        *message_commands.routes(system.dialogs),
    ]
