"""An e-mail address that can be written to: one that needs no quotes (RFC 5321 4.1.2, RFC 6531 3.3)."""

import re
from email.headerregistry import Address

import idna

_LOCAL = re.compile(r"[^\s\x00-\x20\x7f-\xa0<>()\[\]\\,;:@\"]{1,64}")


def address_of(text: str) -> Address:
    """Its domain as the DNS has it, so that only what stands before the @ can need SMTPUTF8. Raises ValueError."""
    local, _, domain = text.rpartition("@")
    try:
        known = domain if domain == "localhost" else idna.encode(domain, uts46=True).decode()
    except idna.IDNAError:
        known = ""
    if not known or not _LOCAL.fullmatch(local):
        raise ValueError("is not an e-mail address that mail can be sent to")
    return Address(username=local, domain=known)
