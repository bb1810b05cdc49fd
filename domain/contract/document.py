"""The contract as one signs it, the same bytes for everybody who computes them again."""

from hashlib import sha256
from uuid import UUID

import msgspec

from domain.contract.events import Terms


def document(contract_id: UUID, version: int, terms: Terms) -> bytes:
    """JSON in UTF-8, keys sorted, no spaces: `id`, `version` and every field of Terms, null where there is none.

    An auditor finds the same members in the record as of `v<signed_version>`.
    """
    content = {"id": contract_id, "version": version, **msgspec.structs.asdict(terms)}
    return msgspec.json.encode(content, order="sorted")


def fingerprint(contract_id: UUID, version: int, terms: Terms) -> str:
    """The document's SHA-256, in hexadecimal."""
    return sha256(document(contract_id, version, terms)).hexdigest()
