"""Records that rights are asked about: as the commands on them see them, and what is needed to know of them."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from application import contact, contract, document, occasion, organisation, resource
from application.access import Resource
from application.grant import about
from domain.contact.aggregate import CONTACT
from domain.contract.aggregate import CONTRACT
from domain.document.aggregate import DOCUMENT
from domain.grant.aggregate import GRANT
from domain.grant.aggregate import Nothing as NoGrant
from domain.organisation.aggregate import ORGANISATION
from domain.resource.aggregate import RESOURCE
from domain.shared import Event, Recorded, Rules
from domain.user.aggregate import USER

RECORDS: Mapping[str, Rules[Any, Any, Any]] = {
    "contact": CONTACT,
    "contract": CONTRACT,
    "document": DOCUMENT,
    "grant": GRANT,
    "occasion": CONTRACT,
    "organisation": ORGANISATION,
    "resource": RESOURCE,
    "user": USER,
}
"""Records whose scopes and responsibles we know, with the rules of their streams; any other type is a type of scope."""

_VIEWS = {
    "contact": "organisation:view",
    "contract": "contract:view",
    "document": "document:view",
    "grant": "grant:view",
    "occasion": "occasion:view",
    "organisation": "organisation:view",
    "resource": "resource:view",
    "user": "user:view",
}
_MAKES = frozenset({"create", "give"})
"""Actions that make something: what they are asked about is where it will lie, and need not be seen."""


def view_of(right: str, record: str) -> str | None:
    """What a command on such a record needs besides: what one may not see is not there."""
    module, _, action = right.partition(":")
    view = _VIEWS[record]
    return None if action in _MAKES or right == view or module != view.partition(":")[0] else view


def resource_of(
    record: str, record_id: UUID, rules: Rules[Any, Any, Any], events: Sequence[Recorded[Event]]
) -> Resource:
    """The record as the commands on it see it."""
    state: Any = rules.initial
    for each in events:
        state = rules.evolve(state, each.event)
    match record:
        case "contact":
            return contact.of(state)
        case "contract":
            return contract.of(state)
        case "occasion":
            return occasion.of(state, record_id)
        case "document":
            return document.of(state)
        case "organisation":
            return organisation.of(record_id, state)
        case "resource":
            return resource.of(state)
        case "grant":
            return Resource() if isinstance(state, NoGrant) else about(state.grant)
        case _:
            return Resource(scopes=frozenset({(record, str(record_id))}))
