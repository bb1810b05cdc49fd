"""What never stands in a log line: whatever opens something, and whatever names a person.

By name where a field has one, by form where it lies in a text. Names of people have no form: no line may carry them.
"""

import re
from collections.abc import Mapping
from typing import Any

MASK = "********"
DEEPEST = 8

SECRET = re.compile(
    r"passw(or)?d|secret|token|authorization|cookie|credential|private|wrapped"
    r"|(api|access|client|encryption|signing|secret)[-_]?key|^key$|otp|signature|^dsn$",
    re.IGNORECASE,
)
"""Fields whose value opens something."""
PERSONAL = re.compile(
    r"e[-_]?mail|phone|^(login|address|agent|user_agent|sub)$|(first|last|display|full|patronymic)_?name|patronymic",
    re.IGNORECASE,
)
"""Fields whose value is about a person."""

_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    # PostgreSQL shows the row that it refused; what comes after the sentence is the row
    (re.compile(r"(?m)^\s*(DETAIL|CONTEXT|QUERY|PARAMETERS):.*$"), ""),
    (re.compile(r"-----BEGIN [A-Z ]+-----.*?(-----END [A-Z ]+-----|$)", re.DOTALL), MASK),
    (re.compile(r"(?<=://)[^/\s@'\"]*:[^/\s'\"]*@"), f"{MASK}@"),
    (re.compile(r"(?i)\b(bearer|basic|digest)\s+[^\s,;'\"]+"), rf"\1 {MASK}"),
    (
        re.compile(
            r"(?i)\b([\w-]*(?:passw(?:or)?d|secret|token|api[-_]?key|authorization|cookie|signature|x-amz-credential)"
            r"[\w-]*['\"]?\s*[=:]\s*)(\"[^\"]*\"|'[^']*'|[^\s&;,'\"}]+)"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"eyJ[\w-]{8,}(?:\.[\w-]*){1,4}"), MASK),
    (re.compile(r"\b(?:chk|rt1)_[\w-]{16,}"), MASK),
    (re.compile(r"\$(?:argon2\w*|2[aby])\$[^\s'\"]+"), MASK),
    (re.compile(r"[\w.!#$%&'*+/=?^`{|}~-]+@[\w-]+(?:\.[\w-]+)+"), MASK),
    (re.compile(r"(?<![\w.:+-])\+\d[\d ().-]{7,18}\d"), MASK),
    (re.compile(r"(?<![\w./-])(?=[A-Za-z_-]*\d)[A-Za-z0-9_-]{40,}={0,2}(?![\w-])"), MASK),
)
"""Forms of secrets and of personal data in a text, and what takes their place."""


def redacted(text: str) -> str:
    """The text without what opens something or names a person."""
    for form, instead in _FORMS:
        text = form.sub(instead, text)
    return text.rstrip()


def clean(name: str, value: Any, depth: int = 0) -> Any:
    """A field of a line as it may be written: by its name, else by what its texts look like."""
    if value is None or isinstance(value, bool):
        return value
    if SECRET.search(name) or PERSONAL.search(name):
        return MASK
    if isinstance(value, (int, float)):
        return value
    if isinstance(value, str):
        return redacted(value)
    if depth >= DEEPEST:
        return MASK
    if isinstance(value, Mapping):
        return {str(key): clean(str(key), each, depth + 1) for key, each in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [clean(name, each, depth + 1) for each in value]
    if isinstance(value, bytes):
        return f"{len(value)} bytes"
    return redacted(repr(value))
