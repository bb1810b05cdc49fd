"""What people are told by mail, if they want to be, and in which language."""

from collections.abc import Collection

MESSAGE_NEW, LETTER_DUE, ACCOUNT = "message.new", "letter.due", "account"
KINDS = (MESSAGE_NEW, LETTER_DUE, ACCOUNT)
"""A message that was not read, a letter that nobody answered in time, a change of one's own account."""
LANGUAGES = ("en", "fr", "ru")
"""The first is that of whoever has not chosen."""


def chosen(mail: Collection[str] | None) -> tuple[str, ...]:
    """The kinds that somebody wants who has said so, each once; None: he has said nothing, and gets all."""
    return tuple(kind for kind in KINDS if mail is None or kind in mail)
