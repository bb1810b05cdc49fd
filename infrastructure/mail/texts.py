"""What mails say, in the languages that people choose from. The words of others, names aside, stay where they are."""

from collections.abc import Mapping

from msgspec import Struct

from domain.user.notifications import LANGUAGES


class Text(Struct, frozen=True, kw_only=True):
    """`subject` is one line. Both have places in braces."""

    subject: str
    body: str

    def filled(self, **places: str) -> "Text":
        return Text(subject=self.subject.format(**places), body=self.body.format(**places))


Texts = Mapping[str, Text]
"""By language."""

MESSAGE: Texts = {
    "en": Text(
        subject="A message waits for you",
        body="{sender} has written to you, and you have not read it yet.\n\n{link}\n",
    ),
    "fr": Text(
        subject="Un message vous attend",
        body="{sender} vous a écrit, et vous ne l'avez pas encore lu.\n\n{link}\n",
    ),
    "ru": Text(
        subject="Вас ждёт сообщение",
        body="{sender} написал(а) вам, и вы этого ещё не прочли.\n\n{link}\n",
    ),
}
LETTER: Texts = {
    "en": Text(
        subject="Letter {number} is due",
        body="Letter {number} should be answered by {day}. There is no answer yet.\n\n{link}\n",
    ),
    "fr": Text(
        subject="La lettre {number} attend sa réponse",
        body="La lettre {number} doit avoir une réponse le {day} au plus tard. Il n'y en a pas encore.\n\n{link}\n",
    ),
    "ru": Text(
        subject="Срок ответа на письмо {number}",
        body="На письмо {number} следует ответить до {day}. Ответа ещё нет.\n\n{link}\n",
    ),
}
DRAFT = {"en": "(a draft)", "fr": "(un brouillon)", "ru": "(черновик)"}
"""In the place of a letter's number, before it has one."""
_NOT_YOU = {
    "en": "If that was neither you nor at your wish, tell whoever looks after the accounts.",
    "fr": "Si ce n'est ni vous ni à votre demande, prévenez la personne qui gère les comptes.",
    "ru": "Если это сделали не вы и не по вашей просьбе, сообщите тому, кто ведёт учётные записи.",
}


def _account(**subjects: str) -> Texts:
    return {
        language: Text(subject=subject, body=f"{subject}.\n\n{_NOT_YOU[language]}\n")
        for language, subject in subjects.items()
    }


ACCOUNT: Mapping[str, Texts] = {
    "password_changed": _account(
        en="Your password was changed",
        fr="Votre mot de passe a été modifié",
        ru="Ваш пароль изменён",
    ),
    "password_reset": _account(
        en="Your password was reset by staff",
        fr="Votre mot de passe a été réinitialisé par le personnel",
        ru="Ваш пароль сброшен сотрудником",
    ),
    "email_changed": _account(
        en="Your account has another e-mail address now",
        fr="Votre compte a désormais une autre adresse électronique",
        ru="У вашей учётной записи теперь другой адрес почты",
    ),
}
"""By what happened to the account."""
NOBODY = {"en": "Somebody", "fr": "Quelqu'un", "ru": "Кто-то"}
"""A sender whose name is not known any more."""
FOOT = {
    "en": "What you are told by mail is your choice: {link}",
    "fr": "Vous choisissez ce qui vous est envoyé : {link}",
    "ru": "Вы сами выбираете, о чём вам писать: {link}",
}


def in_language(language: str | None) -> str:
    """One there are words in."""
    return language if language in LANGUAGES else LANGUAGES[0]
