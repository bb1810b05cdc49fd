"""Every refusal leaves in one shape, and every code is in the catalogue."""

import json
from typing import Any

import psycopg
import pytest
from structlog.testing import capture_logs

from api.catalogue import catalogue, error_page
from api.conditions import (
    ConditionMalformed,
    KeyMalformed,
    KeyMissing,
    ProjectionBehind,
    expected_version,
    idempotency_key,
    min_position,
)
from api.errors import access_status, problem_answer, status_of
from api.problems import Problem, RateLimited
from application.access import AccessError, Forbidden, StepUpRequired
from application.context import VersionMismatch
from domain.shared import DomainError, FieldError, Kind
from tests.api.tiny import ID, HouseTaken, client


def told(error: BaseException) -> dict[str, Any]:
    with capture_logs():
        answer = problem_answer(error, "r-1")
    return {**json.loads(answer.body), "headers": dict(answer.fields)}


def test_each_kind_has_its_status():
    assert {kind: status_of(kind) for kind in Kind} == {
        Kind.MISSING: 404,
        Kind.FORBIDDEN: 403,
        Kind.CONFLICT: 409,
        Kind.INVALID: 422,
        Kind.HELD: 423,
        Kind.WRONG_REFERENCE: 400,
        Kind.TOO_LARGE: 413,
        Kind.UNSUPPORTED: 415,
    }


def test_a_domain_error_is_a_problem_document():
    wrong = FieldError(pointer="/name", code="taken", detail="Taken.")
    found = told(HouseTaken("There is such a house.", errors=(wrong,), candidates=[ID], status=7))
    assert found.pop("headers")[b"content-type"] == b"application/problem+json"
    assert found == {
        "type": "/docs/errors/house.taken",
        "title": "House taken",
        "status": 409,
        "detail": "There is such a house.",
        "code": "house.taken",
        "request_id": "r-1",
        "errors": [{"pointer": "/name", "code": "taken", "detail": "Taken."}],
        "candidates": [str(ID)],
    }


def test_a_problem_brings_its_headers_and_members():
    found = told(RateLimited("Slowly.", hint="Wait.", headers={"Retry-After": "7"}, limit=3))
    assert (found["status"], found["hint"], found["limit"]) == (429, "Wait.", 3)
    assert found["headers"][b"retry-after"] == b"7"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (VersionMismatch(7), 412, "version_mismatch"),
        (psycopg.OperationalError("password=hunter2"), 503, "unavailable"),
        (ProjectionBehind(3), 503, "projection_behind"),
        (ExceptionGroup("x", [HouseTaken("x")]), 409, "house.taken"),
        (ExceptionGroup("x", [HouseTaken("x"), HouseTaken("y")]), 500, "internal"),
        (RuntimeError("password=hunter2"), 500, "internal"),
        (KeyError("x"), 500, "internal"),
    ],
)
def test_every_layer_is_translated(error: BaseException, status: int, code: str):
    found = told(error)
    assert (found["status"], found["code"]) == (status, code)
    assert "hunter2" not in repr(found)
    assert (b"retry-after" in found["headers"]) is (status == 503)


def test_a_412_tells_the_present_version():
    assert told(VersionMismatch(7))["current"] == 7


def test_who_asks_is_told_what_would_help():
    assert told(Forbidden("No.", required="house:sell"))["required"] == "house:sell"
    step_up = told(StepUpRequired("Prove it."))
    assert step_up["status"] == 401
    challenge = step_up["headers"][b"www-authenticate"].decode()
    assert 'error="insufficient_user_authentication", max_age=300' in challenge
    assert {one: access_status(one) for one in (Forbidden, StepUpRequired)} == {
        Forbidden: 403,
        StepUpRequired: 401,
    }


def test_every_code_is_in_the_catalogue_with_a_meaning():
    entries = catalogue()
    assert {"house.taken", "body.invalid", "forbidden", "internal"} <= entries.keys()
    assert not [code for code, one in entries.items() if not one.meaning or not one.remedy]
    for base in (Problem, DomainError, AccessError):
        assert all(one.code in entries for one in base.__subclasses__() if "code" in vars(one))


def test_one_code_has_one_status():
    class Again(Problem):
        """Clashes."""

        code, status = "house.taken", 418

    try:
        with pytest.raises(ValueError, match="418"):
            catalogue()
    finally:
        Again.code, Again.status = "house.taken", 409
        assert catalogue()["house.taken"].status == 409


def test_an_error_page_explains_and_escapes():
    page = error_page(catalogue()["body.invalid"]).decode()
    assert "What to do" in page
    assert "<script" not in page


@pytest.mark.anyio
async def test_the_address_in_type_exists():
    async with client() as http:
        problem = (await http.get("/nowhere")).json()
        page = await http.get(problem["type"])
        table = await http.get("/docs/errors")
        unknown = await http.get("/docs/errors/no.such.code")
    assert (page.status_code, table.status_code, unknown.status_code) == (200, 200, 404)
    assert "not_found" in page.text
    assert 'href="errors/house.taken"' in table.text


def test_if_match_is_a_version():
    assert expected_version(None) is None
    assert expected_version("*") is None
    assert [expected_version(one) for one in ('"v17"', 'W/"v17"', '"v17-0a1b"', ' "v17" ')] == [17] * 4
    for bad in ("v17", '"v0"', '"17"', '"v1", "v2"', "", '"v99999999999999999999"'):
        with pytest.raises(ConditionMalformed):
            expected_version(bad)


def test_a_position_is_a_whole_number():
    assert (min_position(None), min_position("0"), min_position("42")) == (None, 0, 42)
    for bad in ("-1", "1_0", "٣", "1.0", "", "9" * 30):
        with pytest.raises(ConditionMalformed):
            min_position(bad)


def test_a_key_is_visible_ascii_bare_or_quoted():
    assert [idempotency_key(one) for one in (None, "a", '"a"', "~" * 255)] == [None, "a", "a", "~" * 255]
    for bad in ("", "a b", "é", "a" * 256, "a\n"):
        with pytest.raises(KeyMalformed):
            idempotency_key(bad)
    with pytest.raises(KeyMissing):
        idempotency_key(None, required=True)
