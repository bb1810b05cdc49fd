"""Everything the office keeps, put together."""

from dataclasses import dataclass
from zoneinfo import ZoneInfo

from application.contact import Contacts
from application.contract import Contracts
from application.document import Documents
from application.document_type import DocumentTypes
from application.erasure import Erasures
from application.export import Exports
from application.file import Files
from application.file_text import FileTexts
from application.file_upkeep import FileUpkeep
from application.invoice import Invoices
from application.legal_hold import LegalHolds
from application.letter import Letters
from application.letter_brought import BroughtLetters
from application.letter_due import LettersDue
from application.message import Dialogs
from application.notice import Notices
from application.numbers import Numbers
from application.occasion import Occasions
from application.organisation import Organisations
from application.party import Parties
from application.payment import Payments
from application.postal_index import PostalIndex
from application.prefill import Prefill
from application.reference import References
from application.resource import Resources
from domain.file import content
from infrastructure.core import Core, clock
from infrastructure.embedded import s3
from infrastructure.event_store import new_id
from infrastructure.exports.lists import ExportedLists
from infrastructure.mail.delivery import Mailer, mailer_of
from infrastructure.object_store import ObjectStore
from infrastructure.papers.certificate_papers import CertificatePapers
from infrastructure.papers.invoice_papers import InvoicePapers
from infrastructure.papers.kept import Papers
from infrastructure.papers.seller import seller_of
from infrastructure.registers.looked_up import Registers
from infrastructure.security.actors import Actors
from infrastructure.sniff import Sniffer
from infrastructure.texts.kept import KeptTexts
from infrastructure.texts.reader import read_text
from infrastructure.unbound import UnboundFiles, id_of_time
from projections import letter


@dataclass(frozen=True, kw_only=True)
class Office:
    """What the office keeps: files and dialogs, organisations and their people, papers, resources and contracts."""

    files: Files
    file_upkeep: FileUpkeep
    file_texts: FileTexts
    texts: KeptTexts
    objects: ObjectStore
    dialogs: Dialogs
    letters: Letters
    brought_letters: BroughtLetters
    notices: Notices
    letters_due: LettersDue
    organisations: Organisations
    contacts: Contacts
    contracts: Contracts
    payments: Payments
    invoices: Invoices
    occasions: Occasions
    papers: Papers
    invoice_papers: InvoicePapers
    certificate_papers: CertificatePapers
    document_types: DocumentTypes
    documents: Documents
    resources: Resources
    references: References
    postal_index: PostalIndex
    registers: Registers
    prefill: Prefill
    mailer: Mailer | None
    exported_lists: ExportedLists
    exports: Exports
    legal_holds: LegalHolds
    erasures: Erasures


def office_of(core: Core) -> Office:
    settings, pool, execute, store, claims = core.settings, core.pool, core.execute, core.store, core.claims
    parties = Parties(store, core.callers, claims, clock)
    objects = ObjectStore(settings, s3.objects(settings.data_dir, settings.s3_bucket))
    papers = Papers(pool, objects)
    limits = {
        content.ATTACHMENT: settings.attachment_limit,
        content.DOCUMENT: settings.document_limit,
        content.AVATAR: settings.image_limit,
        content.NOTICE: settings.image_limit,
    }
    files = Files(execute, store, claims, objects, Sniffer, limits, new_id)
    exported_lists = ExportedLists(clock, letter.listing(settings.time_zone))
    texts = KeptTexts(pool)
    legal_holds = LegalHolds(execute, store, claims, new_id)
    organisations, registers = Organisations(execute, claims, new_id), Registers(settings, pool, claims)
    numbers = Numbers(claims, ZoneInfo(settings.time_zone))
    return Office(
        files=files,
        file_upkeep=FileUpkeep(
            execute, store, claims, objects, texts, Sniffer, UnboundFiles(pool), id_of_time
        ),
        file_texts=FileTexts(execute, store, objects, read_text, texts),
        texts=texts,
        objects=objects,
        dialogs=Dialogs(execute, store, core.log, claims, files, new_id),
        letters=Letters(execute, store, core.callers, claims, files, numbers, new_id),
        brought_letters=BroughtLetters(execute, store, numbers),
        notices=Notices(execute, files, new_id),
        letters_due=LettersDue(execute, store, parties, Actors(pool), numbers),
        organisations=organisations,
        contacts=Contacts(execute, core.callers, parties, new_id),
        contracts=Contracts(execute, store, core.callers, claims, parties, new_id),
        payments=Payments(execute, new_id),
        invoices=Invoices(execute, store, claims, numbers, seller_of(settings), new_id),
        occasions=Occasions(execute, store, claims, new_id),
        papers=papers,
        invoice_papers=InvoicePapers(core.log, papers),
        certificate_papers=CertificatePapers(pool, core.log, papers),
        document_types=DocumentTypes(execute, new_id),
        documents=Documents(execute, store, parties, files),
        resources=Resources(execute, store, parties, new_id),
        references=References(execute),
        postal_index=PostalIndex(execute),
        registers=registers,
        prefill=Prefill(execute, registers.lookups, organisations),
        legal_holds=legal_holds,
        erasures=Erasures(execute, legal_holds),
        mailer=mailer_of(settings, clock),
        exported_lists=exported_lists,
        exports=Exports(execute, store, core.callers, exported_lists, new_id),
    )


async def close_office(office: Office) -> None:
    office.objects.close()
    await office.registers.close()
