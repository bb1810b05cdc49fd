"""The OpenAPI document: Litestar's paths and parameters, msgspec's schemas, every problem, headers and examples.

Litestar's own schemas lack `additionalProperties: false` and what stands inside lists and maps; msgspec, which
judges the bodies, also describes them exactly.
"""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

import msgspec
from litestar import Litestar
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, Contact, Example, License, SecurityScheme, Server
from msgspec import UNSET, Struct, UnsetType

from api.answers import Rehearsal
from api.catalogue import Entry, entry
from api.errors import Refusal
from api.errors import document as problem_document
from api.fields import Nothing
from api.headers import ANSWER_HEADERS, ASKED_HEADERS
from api.operations import API, Operation, Refusing, common_headers, common_refusals, operations_of
from api.samples import sample
from domain.shared import FieldError
from infrastructure.settings_deployment import Deployment

REF = "#/components/schemas/{name}"
PROBLEM = "application/problem+json"

_MORE = {"401": ("WWW-Authenticate",), "405": ("Allow",), "429": ("Retry-After",), "503": ("Retry-After",)}


class Problem(Struct, frozen=True, kw_only=True):
    """A refusal (RFC 9457). Some codes add members: `current`, `required`, `candidates`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    hint: str | UnsetType = UNSET
    errors: list[FieldError] | UnsetType = UNSET


def problems(*refusing: Refusing) -> dict[int, ResponseSpec]:
    """`responses=problems(OrganisationDuplicate, ...)`: what only this operation refuses; common ones are added."""
    entries = [entry(one) for one in refusing]
    return {
        status: ResponseSpec(
            Problem,
            generate_examples=False,
            media_type=PROBLEM,
            examples=[
                Example(id=one.code, summary=one.title, value=_example(one))
                for one in entries
                if one.status == status
            ],
        )
        for status in sorted({one.status for one in entries})
    }


def config(version: str, deployed: Deployment, root_path: str = "") -> OpenAPIConfig:
    """For `Litestar(openapi_config=...)`. The path is out of the way: ours are `/openapi.json` and `/docs`."""
    said = (deployed.contact_name, deployed.contact_url, deployed.contact_email)
    return OpenAPIConfig(
        title=deployed.title,
        version=version,
        description=deployed.description,
        contact=Contact(*(each or None for each in said)) if any(said) else None,
        license=License(name="MIT", identifier="MIT"),
        servers=[Server(url=root_path or "/")],
        use_handler_docstrings=True,
        path="/docs/_",
        render_plugins=[JsonRenderPlugin()],
        security=[{"bearer": []}, {"cookie": []}, {"client_key": [], "api_key": []}],
        components=Components(
            security_schemes={
                "bearer": SecurityScheme(type="http", scheme="bearer", bearer_format="JWT"),
                "cookie": SecurityScheme(
                    type="apiKey", security_scheme_in="cookie", name="__Host-chancery_access"
                ),
                "client_key": SecurityScheme(type="apiKey", security_scheme_in="header", name="X-Client-Key"),
                "api_key": SecurityScheme(type="apiKey", security_scheme_in="header", name="X-API-Key"),
                "internal": SecurityScheme(
                    type="apiKey", security_scheme_in="header", name="X-Internal-Secret"
                ),
            }
        ),
    )


def document(app: Litestar, signed_in: tuple[Refusing, ...] = ()) -> dict[str, Any]:
    """The whole document. `signed_in`: what sign-in refuses, added wherever `security` is not overridden."""
    whole: dict[str, Any] = msgspec.to_builtins(app.openapi_schema.to_schema())
    operations = list(operations_of(app, whole))
    kinds = [kind for one in operations for kind in (one.body, one.answer) if kind not in (None, type(None))]
    schemas, components = msgspec.json.schema_components([*kinds, Problem, Rehearsal], ref_template=REF)
    described = dict(zip(map(str, kinds), schemas, strict=False))
    examples: dict[str, Any] = {}
    whole["components"] |= {
        "schemas": components,
        "headers": ANSWER_HEADERS,
        "parameters": ASKED_HEADERS,
        "examples": examples,
    }
    for one in operations:
        _describe(one, described, components)
        _refuse(one, signed_in, examples)
    return whole


def _describe(one: Operation, described: dict[str, Any], components: dict[str, Any]) -> None:
    """Put in schemas, examples and headers of what goes right, and the tag."""
    operation = one.described
    if one.of_api:
        operation["tags"] = [one.path.removeprefix(API).split("/")[0]]
        operation["operationId"] = operation["operationId"].removeprefix("ApiV1")
    if (schema := described.get(str(one.body))) is not None:
        content = {"schema": schema, "example": sample(schema, components, one.body)}
        required = not issubclass(one.body, Nothing)
        operation["requestBody"] = {"required": required, "content": {"application/json": content}}
    responses: dict[str, Any] = operation["responses"]
    answer = responses[str(one.handler.status_code)]
    schema = described.get(str(one.answer), {})
    if one.answer in (None, type(None)):
        answer.pop("content", None)
    elif schema and "application/json" in answer.get("content", {}):
        example = sample(schema, components, one.answer)
        answer["content"] = {"application/json": {"schema": schema, "example": example}}
    members: dict[str, Any] = components.get(schema.get("$ref", "").rpartition("/")[2], {}).get(
        "properties", {}
    )
    if any(asked.get("name") == "fields" for asked in operation.get("parameters", ())):
        _pick(members["data"], components)
    asked, given = common_headers(one, members)
    answer["headers"] = _references("headers", given)
    _rehearse(operation, answer)
    _ask(operation, asked)
    if "IfNoneMatch" in asked:
        responses["304"] = {
            "description": "You hold this very body.",
            "headers": _references("headers", given),
        }


def _pick(data: dict[str, Any], components: dict[str, Any]) -> None:
    """The records of a list are whole, or what `fields` names of each."""
    whole = data["items"]
    if "$ref" not in whole:
        return
    name = whole["$ref"].rpartition("/")[2]
    part = {key: value for key, value in components[name].items() if key != "required"}
    components[f"PartOf{name}"] = part | {"title": f"PartOf{name}", "description": "The members asked for."}
    data["items"] = {"anyOf": [whole, {"$ref": REF.format(name=f"PartOf{name}")}]}


def _references(kind: str, names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/{kind}/{name}"} for name in names}


def _rehearse(operation: dict[str, Any], answer: dict[str, Any]) -> None:
    """A command that can be rehearsed also answers 200 with the events; one that changes nothing, with a receipt."""
    if any(one.get("name") == "dry_run" for one in operation.get("parameters", ())):
        schema = answer["content"]["application/json"]["schema"]
        either = {"anyOf": [schema, {"$ref": REF.format(name="Rehearsal")}]}
        operation["responses"]["200"] = {
            "description": "Nothing to change, or a dry run.",
            "headers": answer["headers"],
            "content": {"application/json": {**answer["content"]["application/json"], "schema": either}},
        }


def _ask(operation: dict[str, Any], asked: list[str]) -> None:
    """Common request headers are described once; a handler's own mention of one gives way."""
    names = {ASKED_HEADERS[key]["name"].lower() for key in asked}
    own = [one for one in operation.get("parameters", ()) if one["name"].lower() not in names]
    operation["parameters"] = [*own, *_references("parameters", asked).values()]


def _refuse(one: Operation, signed_in: tuple[Refusing, ...], examples: dict[str, Any]) -> None:
    """Put the common problems beside this operation's own, which `problems` has put there."""
    responses: dict[str, Any] = one.described["responses"]
    for status in [key for key, given in responses.items() if "application/json" in given.get("content", {})]:
        if int(status) >= 400:  # the shape Litestar would answer with, were it asked
            del responses[status]
    for refusing in common_refusals(one, signed_in):
        told = entry(refusing)
        empty = {"content": {PROBLEM: {"schema": {"$ref": REF.format(name="Problem")}}}}
        content = responses.setdefault(str(told.status), empty)["content"][PROBLEM]
        content.setdefault("examples", {})[told.code] = {"summary": told.title, "value": _example(told)}
    for status, response in responses.items():
        if (content := response.get("content", {}).get(PROBLEM)) is not None:
            for code, example in content["examples"].items():
                examples[code] = {"summary": example["summary"], "value": example["value"]}
            codes = list(content["examples"])
            content["examples"] = _references("examples", codes)
            response["description"] = f"{HTTPStatus(int(status)).phrase}: {', '.join(codes)}"
            response["headers"] = _references("headers", ["X-Request-Id", *_MORE.get(status, ())])


def _example(told: Entry) -> dict[str, Any]:
    refused = Refusal(code=told.code, status=told.status, detail=told.meaning)
    return problem_document(refused, "4f1c2a9be07d4d7f9d55c0ffee001234")
