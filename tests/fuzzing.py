"""Every operation of a running API, asked right and wrong by callers of every kind: each answer is as documented.

`make fuzz` reads odd files of a log first (tests/parsers.py), then goes on until its time is over;
`tests/system/test_fuzz.py` does one short round. Each is on a Chancery of its own, to which alone its traffic goes.
How to read what is found: docs/how-to/fuzz.md.
"""

import argparse
import secrets
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from itertools import cycle
from pathlib import Path
from random import Random

import requests
import schemathesis
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.core.failures import FailureGroup
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests import parsers, whole
from tests.fuzz_cases import MODES, Operation, examples, generated, written
from tests.fuzzers import SECRET, Caller, Records, Root

SETTINGS = {"CHANCERY_REGISTRATION": "open", "CHANCERY_INTERNAL_SECRET": SECRET}
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    negative_data_rejection,
]
BEFORE_CREDENTIALS = {"path.malformed", "query.malformed", "not_found", "method_not_allowed"}
"""No route is found yet, so nobody knows whether a credential is needed."""
BEYOND_SCHEMAS = {"empty", "wrong_type", "required"}
"""A text of blanks alone is empty once trimmed; 12.0 is an integer to JSON Schema, but no whole number to us; what a
question of a batch leaves out may stand above them all, or be missing.
"""
OF_PARSERS = 0.2
"""The part of its time in which `make fuzz` lets the files of a log be read."""
PATIENCE = 30
"""Seconds one answer may take."""


@dataclass
class Findings:
    """`wrong`: a sentence of each kind of wrong answer → the request that got the first of them."""

    wrong: dict[str, str] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)
    succeeded: set[str] = field(default_factory=set)
    """Operations that answered 2xx at least once: of the others only refusals were seen."""

    def __bool__(self) -> bool:
        return bool(self.wrong)

    def __str__(self) -> str:
        return "\n\n".join(f"{what}\n{how}" for what, how in self.wrong.items())


class Fuzz:
    """Asks the API at `url`. `over` tells when to stop."""

    def __init__(self, url: str, callers: list[Caller], records: Records, over: Callable[[], bool]) -> None:
        document = requests.get(f"{url}/openapi.json", timeout=PATIENCE).json()
        callers_bring_credentials = {"generation": {"with-security-parameters": False}}
        config = SchemathesisConfig.from_dict(callers_bring_credentials)
        schema = schemathesis.openapi.from_dict(document, config=config)
        every: list[Operation] = [one.ok() for one in schema.get_all_operations()]
        self.operations = [one for one in every if not endless(one)]
        self.findings = Findings()
        self._url, self._callers, self._records, self._over = url, callers, records, over
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.cookies.set_policy(
            DefaultCookiePolicy(allowed_domains=[])
        )  # or a stranger goes on as another

    def examples(self) -> None:
        """Every documented example, about records that exist; what this makes the later rounds are about."""
        lists = [one.path for one in self.operations if one.method == "get" and "{" not in one.path]
        for _ in range(2):  # the first makes what the second may name
            for operation in self.operations:
                caller = self._fitting(operation)
                for case in examples(operation):
                    self._records.put_into(case, caller, Random(0), right=True, example=True)
                    self._ask(caller, case)
            self._records.gather(lists)

    def round(self, number: int, cases: int) -> None:
        """`cases` right and as many wrong ones of each operation by each caller; the same ones for the same number."""
        random = Random(number)
        for operation in random.sample(self.operations, len(self.operations)):
            inside = "/internal/" in operation.path
            callers = [one for one in self._callers if inside or one.name != "service"]
            for mode in MODES:
                made = generated(operation, mode, random.getrandbits(32), cases * len(callers))
                for caller, case in zip(cycle(callers), made, strict=False):
                    if self._over():
                        return
                    self._records.put_into(case, caller, random, right=mode is GenerationMode.POSITIVE)
                    self._ask(caller, case)

    def _fitting(self, operation: Operation) -> Caller:
        """Who may ask it with some hope: the administrator, unless only programs are let in."""
        name = {"internal": "service", "admin": "client"}.get(operation.path.split("/")[3], "admin")
        return next(one for one in self._callers if one.name == name)

    def _ask(self, caller: Caller, case: Case) -> None:
        answer = self._sent(caller, case)
        if answer is None:
            return
        told = self.findings.answers
        told[answer.status_code] = told.get(answer.status_code, 0) + 1
        if answer.status_code < 300:
            self.findings.succeeded.add(case.operation.label)
        if answer.status_code == 201 and "location" in answer.headers:
            self._records.made(answer.headers["location"][0])
        for what in (*broken(case, answer), *unasked(caller, case, answer)):
            sentence = f"{case.operation.label} as {caller.name}: {what}"
            self.findings.wrong.setdefault(
                sentence, f"{written(case)}\n{answer.status_code} {answer.content[:600]!r}"
            )

    def _sent(self, caller: Caller, case: Case) -> Response | None:
        for _ in range(2):
            try:
                answer = case.call(
                    base_url=self._url,
                    session=self.session,
                    headers=caller.headers,
                    timeout=PATIENCE,
                    allow_redirects=False,
                )
            except (requests.exceptions.InvalidHeader, UnicodeEncodeError):
                return None  # no client could send it
            if answer.status_code != 401 or not caller.renewed():
                return answer
        return answer


def endless(operation: Operation) -> bool:
    """A stream of events has no whole answer that could be held against the document."""
    return "text/event-stream" in operation.definition.raw["responses"].get("200", {}).get("content", {})


def broken(case: Case, answer: Response) -> Iterator[str]:
    """What of the document the answer breaks."""
    if answer.status_code == 503 and "retry-after" in answer.headers:
        return
    try:
        case.validate_response(answer, checks=CHECKS)
    except FailureGroup as failures:
        for failure in failures.exceptions:
            yield f"{answer.status_code} {failure.title}: {' '.join(str(failure).split())[:400]}"


def unasked(caller: Caller, case: Case, answer: Response) -> Iterator[str]:
    """What the document cannot say: who is not signed in gets nothing but 401; what fits the schema is read."""
    told = answer.json().get("code") if answer.status_code >= 400 else None
    closed = {} not in case.operation.definition.raw.get("security", ())
    if closed and caller.name == "stranger" and answer.status_code != 401 and told not in BEFORE_CREDENTIALS:
        yield f"{answer.status_code} without a credential"
    if (
        told == "body.invalid"
        and case.meta is not None
        and case.meta.generation.mode is GenerationMode.POSITIVE
    ):
        faults = [one for one in answer.json()["errors"] if one["code"] not in BEYOND_SCHEMAS]
        if faults:
            yield f"a body that fits its schema is called invalid: {faults}"


def fuzz(folder: Path, first: int, *, cases: int, rounds: int, seconds: float) -> tuple[Findings, list[str]]:
    """On a Chancery that is started in `folder` for it; also the operations that never answered 2xx."""
    with whole.up(folder, **SETTINGS) as chancery, ExitStack() as stack:
        root = Root(chancery.url, whole.ADMIN, whole.PASSWORD)
        stack.callback(root.client.close)
        callers = [Caller(root, name) for name in ("admin", "user", "client", "service", "stranger")]
        end = time.monotonic() + seconds
        run = Fuzz(chancery.url, callers, Records(root), lambda: time.monotonic() > end)
        stack.callback(run.session.close)
        run.examples()
        for number in range(first, first + rounds):
            if time.monotonic() < end:
                run.round(number, cases)
    return run.findings, [one.label for one in run.operations if one.label not in run.findings.succeeded]


def main() -> None:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000), help="of a run to repeat")
    asked = parser.parse_args()
    print(f"Fuzzing for {asked.minutes:g} minutes from seed {asked.seed}.")  # noqa: T201
    read, broken = parsers.fuzz(asked.seed, OF_PARSERS * 60 * asked.minutes)
    print(f"Notes, proofs, tiles and exports: {read:,} read.", *broken, sep="\n")  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="chancery-fuzz-") as folder:
        Path(folder).chmod(0o711)  # PostgreSQL runs as somebody else when we are root
        left = (1 - OF_PARSERS) * 60 * asked.minutes
        findings, never = fuzz(Path(folder), asked.seed, cases=5, rounds=1_000, seconds=left)
    answers = ", ".join(f"{number:,} x {status}" for status, number in sorted(findings.answers.items()))
    said = [f"Answers: {answers}.", f"Only refusals seen of: {', '.join(never)}."]
    print(*said, findings or "Nothing wrong.", sep="\n")  # noqa: T201
    sys.exit(f"{len(findings.wrong) + len(broken)} wrong." if findings or broken else 0)


if __name__ == "__main__":
    main()
