"""The books as an auditor would keep them: plain arithmetic over the events, by none of the product's rules."""

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from uuid import UUID

from msgspec import Struct, UnsetType

from domain.contract.events import (
    ContractAmended,
    ContractCanceled,
    ContractChanged,
    ContractDrafted,
    ContractSigned,
    Credited,
    Invoiced,
    PaymentRecorded,
    PaymentReversed,
)
from domain.money import Money
from domain.number import number_of
from domain.shared import Event

NOTHING = Decimal(0)
Party = tuple[UUID, UUID | None, str]


class Account(Struct, kw_only=True):
    organisation_id: UUID
    contact_id: UUID | None
    currency: str | None = None
    amount: Decimal | None = None
    stands: bool = False
    paid: Decimal = NOTHING
    invoiced: Decimal = NOTHING

    def agreed(self, money: Money | None) -> None:
        self.amount, self.currency = (None, None) if money is None else (money.amount, money.currency)


class Books:  # bounded: one check of the ledger, by one process at a time
    """`totals`: debits and credits of each account and currency. `owed`: by each organisation, on invoices.

    `counters`: the last number of each series and year.
    """

    def __init__(self) -> None:
        self.accounts: dict[UUID, Account] = {}
        self.totals: dict[tuple[str, str], tuple[Decimal, Decimal]] = {}
        self.owed: dict[tuple[UUID, str], list[Decimal]] = {}
        self.counters: dict[tuple[str, int], int] = {}

    def take(self, contract_id: UUID, event: Event) -> Iterator[str]:
        """Books it, and answers what is wrong with it."""
        match event:
            case ContractDrafted():
                account = Account(organisation_id=event.organisation_id, contact_id=event.contact_id)
                account.agreed(event.amount)
                self.accounts[contract_id] = account
            case ContractChanged():
                self._change(self.accounts[contract_id], event)
            case ContractAmended():
                self.accounts[contract_id].agreed(event.amount)
            case ContractSigned():
                self.accounts[contract_id].stands = True
            case ContractCanceled():
                self.accounts[contract_id].stands = False
            case PaymentRecorded():
                self.accounts[contract_id].paid += event.amount.amount
                self._post(contract_id, "cash", "receivable", event.amount)
            case PaymentReversed():
                self.accounts[contract_id].paid -= event.amount.amount
                self._post(contract_id, "receivable", "cash", event.amount)
            case Invoiced():
                self.accounts[contract_id].invoiced += event.amount.amount
                self._post(contract_id, "receivable", "revenue", event.amount)
                yield from self._count(event.number)
            case Credited():
                self.accounts[contract_id].invoiced -= event.amount.amount
                self._post(contract_id, "revenue", "receivable", event.amount)
                yield from self._count(event.number)
            case _:
                return
        yield from self._wrong(contract_id)

    def balances(self) -> dict[Party, tuple[Decimal, Decimal, Decimal]]:
        """What was agreed, paid and invoiced of each organisation and contact; who has nothing has none."""
        sums: dict[Party, list[Decimal]] = defaultdict(lambda: [NOTHING, NOTHING, NOTHING])
        for each in self.accounts.values():
            if not each.stands or each.amount is None or each.currency is None:
                continue
            for who in {None, each.contact_id}:
                kept = sums[each.organisation_id, who, each.currency]
                for place, figure in enumerate((each.amount, each.paid, each.invoiced)):
                    kept[place] += figure
        return {party: (a, b, c) for party, (a, b, c) in sums.items() if a or b or c}

    def _change(self, account: Account, event: ContractChanged) -> None:
        if not isinstance(event.organisation_id, UnsetType):
            account.organisation_id = event.organisation_id
        if not isinstance(event.contact_id, UnsetType):
            account.contact_id = event.contact_id
        if not isinstance(event.amount, UnsetType):
            account.agreed(event.amount)

    def _post(self, contract_id: UUID, debited: str, credited: str, money: Money) -> None:
        owed = self.owed.setdefault((self.accounts[contract_id].organisation_id, money.currency), [NOTHING])
        owed[0] += money.amount if debited == "receivable" else -money.amount
        for account, debit, credit in (
            (debited, money.amount, NOTHING),
            (credited, NOTHING, money.amount),
        ):
            before = self.totals.get((account, money.currency), (NOTHING, NOTHING))
            self.totals[account, money.currency] = before[0] + debit, before[1] + credit

    def _count(self, text: str) -> Iterator[str]:
        number = number_of(text)
        if number is None:
            yield f"{text} is no number"
            return
        series = number.series, number.year
        due = self.counters.get(series, 0) + 1
        if number.counter != due:
            yield f"{text} was given out where {number.series}-{number.year} was at {due}"
        self.counters[series] = number.counter

    def _wrong(self, contract_id: UUID) -> Iterator[str]:
        account = self.accounts[contract_id]
        most = account.amount or NOTHING
        if not NOTHING <= account.paid <= most:
            yield f"contract {contract_id} has {account.paid} paid of {most}"
        if not NOTHING <= account.invoiced <= most:
            yield f"contract {contract_id} has {account.invoiced} invoiced of {most}"
