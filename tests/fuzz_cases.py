"""The requests that are sent: what the document shows, and what schemathesis makes of it."""

import json
from collections.abc import Iterator
from copy import deepcopy
from typing import Any
from uuid import uuid4

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.core import NOT_SET
from schemathesis.schemas import APIOperation

Operation = APIOperation[Any, Any, Any, Any]
MODES = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)


def examples(operation: Operation) -> Iterator[Case]:
    """The documented one; where there is none, the least it takes."""
    raw = operation.definition.raw
    body = raw.get("requestBody", {}).get("content", {}).get("application/json", {})
    if "requestBody" in raw and "example" not in body:
        return
    more = {"body": deepcopy(body["example"]), "media_type": "application/json"} if body else {}
    keyed = any("IdempotencyKey" in one.get("$ref", "") for one in raw.get("parameters", ()))
    yield operation.Case(
        path_parameters={
            one.name: "01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07" for one in operation.path_parameters
        },
        headers={"Idempotency-Key": uuid4().hex} if keyed else {},
        **more,
    )


def generated(operation: Operation, mode: GenerationMode, number: int, cases: int) -> list[Case]:
    """The same ones every time."""
    made: list[Case] = []

    @seed(number)
    @settings(
        max_examples=cases,
        phases=[Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Case) -> None:
        made.append(case)

    try:
        collect()
    except Unsatisfiable:
        return []  # nothing can be wrong about it
    return made


def written(case: Case) -> str:
    """The request, without its credential."""
    body = "" if case.body is NOT_SET else f" {json.dumps(case.body, default=repr)[:1500]}"
    query = f" ?{case.query}" if case.query else ""
    headers = f" {dict(case.headers)}" if case.headers else ""
    return f"{case.method} {case.formatted_path}{query}{headers}{body}"
