"""The document says what is true: exact bodies, every problem, an example for each; the page asks nobody else."""

import re
from typing import Any

import jsonschema_rs
import pytest

from api.openapi import document
from api.reader import Reader
from tests.api.tiny import AddHouse, NoKnock, client, tiny_app

DOCUMENT = document(tiny_app(), (NoKnock,))
OPERATIONS = {
    f"{method} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}


def resolved(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: Any = DOCUMENT
    for part in node["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def test_every_route_of_the_api_is_there():
    assert OPERATIONS.keys() == {
        "post /api/v1/houses",
        "get /api/v1/houses",
        "get /api/v1/houses/{ref}",
        "post /api/v1/houses/{ref}/sell",
        "get /api/v1/boom",
    }


def test_bodies_are_closed_all_the_way_down():
    schemas = DOCUMENT["components"]["schemas"]
    assert all(
        schemas[name]["additionalProperties"] is False for name in ("AddHouse", "Door", "Money", "Nothing")
    )
    assert schemas["AddHouse"]["properties"]["labels"]["additionalProperties"]["maxLength"] == 128


def test_every_body_and_answer_has_an_example_that_fits():
    for name, operation in OPERATIONS.items():
        contents = [
            operation.get("requestBody", {}),
            *(operation["responses"][s] for s in operation["responses"] if s < "3"),
        ]
        for content in (one["content"]["application/json"] for one in contents if one.get("content")):
            schema = {**content["schema"], "components": DOCUMENT["components"]}
            assert jsonschema_rs.is_valid(schema, content["example"]), name
    body = OPERATIONS["post /api/v1/houses"]["requestBody"]["content"]["application/json"]["example"]
    assert body["price"] == {"amount": "12500.00", "currency": "EUR"}
    Reader[AddHouse](AddHouse).tree(str(body).replace("'", '"').encode())


def test_every_problem_of_an_operation_is_listed_with_an_example():
    codes = {
        code: int(status)
        for status, response in OPERATIONS["post /api/v1/houses"]["responses"].items()
        for code in response.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    assert codes["house.taken"] == 409
    assert {
        "body.invalid": 400,
        "no_knock": 401,
        "forbidden": 403,
    }.items() <= codes.items()
    assert {
        "idempotency_key_reused": 422,
        "rate_limited": 429,
        "internal": 500,
        "unavailable": 503,
    }.items() <= codes.items()
    schema = {"$ref": "#/components/schemas/Problem", "components": DOCUMENT["components"]}
    for code, status in codes.items():
        example = DOCUMENT["components"]["examples"][code]
        assert "id" not in example
        assert jsonschema_rs.is_valid(schema, example["value"])
        assert example["value"]["status"] == status


def test_no_error_is_documented_in_litestars_own_shape():
    for operation in OPERATIONS.values():
        for status, response in operation["responses"].items():
            assert status < "400" or response["content"].keys() == {"application/problem+json"}


def test_common_headers_are_described_once():
    add, read = OPERATIONS["post /api/v1/houses"], OPERATIONS["get /api/v1/houses/{ref}"]
    assert {resolved(one)["name"] for one in add["parameters"]} == {
        "dry_run",
        "X-Request-Id",
        "Idempotency-Key",
    }
    sell = OPERATIONS["post /api/v1/houses/{ref}/sell"]
    assert {resolved(one)["name"] for one in sell["parameters"]} == {"ref", "X-Request-Id", "If-Match"}
    assert "412" in sell["responses"]
    assert "412" not in add["responses"]
    assert {"ETag", "X-Event-Position", "Location", "X-Request-Id"} <= add["responses"]["201"][
        "headers"
    ].keys()
    assert {"ETag", "X-Projection-Position"} <= read["responses"]["200"]["headers"].keys()
    assert "304" in read["responses"]
    assert all(resolved(one)["schema"] for one in add["responses"]["201"]["headers"].values())
    assert add["responses"]["200"]["content"]["application/json"]["schema"]["anyOf"][1]["$ref"].endswith(
        "/Rehearsal"
    )


def test_every_reference_leads_somewhere():
    references = set(re.findall(r"'\$ref': '([^']+)'", repr(DOCUMENT)))
    assert references
    for one in references:
        resolved({"$ref": one})


def test_operations_have_unique_names_and_a_tag():
    names = [one["operationId"] for one in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    assert OPERATIONS["post /api/v1/houses"]["tags"] == ["houses"]
    assert OPERATIONS["post /api/v1/houses"]["description"] == "Add a house."


def test_a_command_without_fields_needs_no_body():
    assert OPERATIONS["post /api/v1/houses/{ref}/sell"]["requestBody"]["required"] is False


@pytest.mark.anyio
async def test_the_page_asks_nobody_else():
    async with client() as http:
        page = await http.get("/docs")
        script = await http.get(re.search(r'src="([^"]+)"', page.text)[1], follow_redirects=False)
        served = await http.get("/openapi.json")
        missing = await http.get("/docs/nope")
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self'" in policy
    assert "http" not in page.text.replace("http-equiv", "")
    assert (script.status_code, script.headers["content-type"]) == (200, "text/javascript; charset=utf-8")
    assert "immutable" in script.headers["cache-control"]
    assert len(script.content) > 1_000_000
    assert served.json()["info"]["version"] == "1.2.3"
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
