"""A mail as it is handed in: headers that nobody else has a say in, and text that needs no care (RFC 5322, 2045)."""

from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from email.utils import format_datetime
from uuid import UUID

from msgspec import Struct

from infrastructure.mail.address import address_of
from infrastructure.operations import Hopeless


class NoAddress(Hopeless):
    """No mail can be sent to what the account has as its address."""


class Mail(Struct, frozen=True, kw_only=True):
    """`id` is that of the operation and so of the message, however often it is handed in."""

    id: UUID
    to: str
    subject: str
    text: str


class Written(Struct, frozen=True, kw_only=True):
    """`utf8`: only a server with SMTPUTF8 (RFC 6531) can take it."""

    sender: str
    recipient: str
    content: bytes
    utf8: bool


def written(mail: Mail, sender: str, now: datetime) -> Written:
    """Raises NoAddress. A subject of several lines is a mistake of ours: ValueError."""
    by = address_of(sender)
    try:
        to = address_of(mail.to)
    except ValueError as problem:
        raise NoAddress(f"what the account has {problem}") from None
    utf8 = not to.username.isascii()
    message = EmailMessage(policy=SMTPUTF8 if utf8 else SMTP)
    message["From"] = Address("Chancery", by.username, by.domain)
    message["To"] = to
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(now)
    message["Message-ID"] = f"<{mail.id}@{by.domain}>"
    message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's vacation answers
    message.set_content(mail.text, cte="7bit" if mail.text.isascii() else "base64")
    return Written(sender=by.addr_spec, recipient=to.addr_spec, content=message.as_bytes(), utf8=utf8)
