"""The OpenAPI document is true: whatever is sent, right or wrong, is answered as it says, and never with a 5xx."""

import json
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core import NotSet
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.anyio

ROOT = "http://testserver"
CASES = 2
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
    elif not isinstance(case.body, NotSet):
        body = {"content": json.dumps(case.body).encode()}
    headers = {name: str(value).encode("latin-1", "replace") for name, value in (case.headers or {}).items()}
    if body:
        headers["Content-Type"] = (case.media_type or "application/json").encode()
    return await client.request(
        case.method, f"{ROOT}{case.formatted_path}", params=case.query, headers=headers, **body
    )


async def about_something(client: httpx.AsyncClient, case: Any) -> None:
    """Puts the id of a record that exists into the address, where there is one."""
    collection, _, rest = case.path.partition("/{")
    if rest:
        listed = await client.get(f"{ROOT}{collection}")
        records = listed.json().get("data", []) if listed.status_code == 200 else []
        if records and "id" in records[0]:
            case.path_parameters[rest.partition("}")[0]] = records[0]["id"]


async def test_every_operation_answers_as_its_document_says(office):
    document = (await office.stranger.get(f"{ROOT}/openapi.json")).json()
    wrong: dict[str, str] = {}
    person = await office.user(role="admin")
    for found in schemathesis.openapi.from_dict(document).get_all_operations():
        operation = found.ok()
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
            for number, case in enumerate(cases(operation, mode)):
                if number == 0:
                    await about_something(person.client, case)
                answer = await sent(person.client, case)
                try:
                    case.validate_response(answer, checks=CHECKS)
                except FailureGroup as failures:
                    for failure in failures.exceptions:
                        wrong.setdefault(
                            f"{operation.label}: {failure.title} {answer.status_code}", str(failures)
                        )
                if answer.status_code in (200, 204) and (await person.client.get("/me")).status_code == 401:
                    person = await office.user(role="admin")  # who has signed out, or left
    assert not wrong, "\n".join([*wrong, *wrong.values()])
