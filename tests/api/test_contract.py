"""The OpenAPI document is true: whatever is sent, right or wrong, is answered as it says, and never with a 5xx."""

import json
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.anyio

CASES = 3
"""Per operation, of right and of wrong requests each."""
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]


def cases(operation: Any, mode: GenerationMode) -> list[Any]:
    """The same ones every time."""
    made: list[Any] = []

    @settings(
        max_examples=CASES,
        phases=[Phase.generate],
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        made.append(case)

    collect()
    return made


async def sent(client: httpx.AsyncClient, case: Any) -> httpx.Response:
    body: dict[str, Any] = {}
    if isinstance(case.body, bytes):
        body = {"content": case.body}
    elif not isinstance(case.body, type(schemathesis.core.NOT_SET)):
        body = {"content": json.dumps(case.body).encode()}
    headers = {name: str(value).encode("latin-1", "replace") for name, value in (case.headers or {}).items()}
    if body:
        headers["Content-Type"] = (case.media_type or "application/json").encode()
    return await client.request(
        case.method, f"http://testserver{case.formatted_path}", params=case.query, headers=headers, **body
    )


async def test_every_operation_answers_as_its_document_says(office):
    document = (await office.stranger.get("http://testserver/openapi.json")).json()
    wrong: dict[str, str] = {}
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = found.ok()
        person = await office.user(role="admin")
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            for case in cases(operation, mode):
                answer = await sent(person.client, case)
                try:
                    case.validate_response(answer, checks=CHECKS)
                except FailureGroup as failures:
                    for failure in failures.exceptions:
                        wrong.setdefault(f"{operation.label}: {failure.title} {answer.status_code}", str(failures))
    assert not wrong, "\n".join([*wrong, *wrong.values()])
