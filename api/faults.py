"""One wrong field, said clearly: from the decoder's terse message to a stable code and a sentence."""

import re

from domain.shared import FieldError

KEY_LIMIT = 200

_SENTENCES = tuple(
    (re.compile(pattern), code, sentence)
    for pattern, code, sentence in (
        (r"of length >= 1\b", "empty", "This must not be empty."),
        (r"of length >= (\d+)", "too_short", "This must have at least {0} characters or elements."),
        (r"of length <= (\d+)", "too_long", "This must have at most {0} characters or elements."),
        (r"of length (\d+)", "wrong_length", "This must have exactly {0} elements."),
        (r"Expected `\w+` (>=|>) (\S+)", "too_small", "This must be {0} {1}."),
        (r"Expected `\w+` (<=|<) (\S+)", "too_large", "This must be {0} {1}."),
        (r"multiple of (\S+)", "wrong_step", "This must be a multiple of {0}."),
        (r"with a timezone", "no_time_zone", "This instant needs its offset: 2026-03-01T09:30:00Z."),
        (r"matching regex", "wrong_format", "This does not have the expected form."),
        (r"Invalid (?:RFC3339|datetime)", "wrong_format", "Expected an instant: 2026-03-01T09:30:00Z."),
        (r"Invalid date", "wrong_format", "Expected a calendar date: 2026-03-01."),
        (r"Invalid UUID", "wrong_format", "Expected a UUID."),
        (r"Invalid enum value", "not_one_of", "This is not one of the values that are allowed here."),
        (r"Expected `([^`]+)`, got `([^`]+)`", "wrong_type", "Expected {0}, got {1}."),
        (r"out of range", "out_of_range", "This number is out of range."),
    )
)
_WORDS = {
    ">=": "at least",
    "<=": "at most",
    ">": "more than",
    "<": "less than",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "object": "an object",
    "array": "an array",
    "datetime": "an instant",
    "date": "a date",
    "uuid": "a UUID",
}


def fault_of(pointer: str, message: str, expected: str | None = None) -> FieldError:
    """Translate what msgspec says, without what the caller sent. `expected`: the right form, in words."""
    for pattern, code, sentence in _SENTENCES:
        if found := pattern.search(message):
            detail = f"Expected {expected}." if expected and code == "wrong_format" else sentence
            return FieldError(
                pointer=pointer, code=code, detail=detail.format(*(_words(one) for one in found.groups()))
            )
    return FieldError(pointer=pointer, code="invalid", detail="This value is not accepted here.")


def _words(part: str) -> str:
    return " or ".join(_WORDS.get(one, one) for one in part.split(" | "))


def step(pointer: str, key: str | int) -> str:
    """The pointer one level down (RFC 6901). A key is input, so it is cut."""
    return f"{pointer}/{str(key)[:KEY_LIMIT].replace('~', '~0').replace('/', '~1')}"
