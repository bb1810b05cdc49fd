"""The demo's records beside the organisations: a contact, documents, what users of earlier systems typed, an export."""

import csv
from collections.abc import Mapping
from io import StringIO
from typing import Any

from cli.people import Person
from cli.story import API, Story

PDF = b"%PDF-1.7\n% a very short charter\n%%EOF\n"
TYPED = (
    "documents:[charter,licence] AND agreement=yes AND region=[11,93]",
    "agreement>01-01-2026",
    'company_name:"électricité" et siren!=None',
    "(region=11 OR region=93) и не is_gov=да",
)
"""Filters as users of earlier systems wrote them."""
HARM = '=HYPERLINK("https://example.org";"Open me")'
"""What a spreadsheet would run."""


def keep_records(story: Story, ids: Mapping[str, str], claire: Person, eve: Person) -> None:
    """`claire` may view organisations, `eve` nothing, before and after."""
    _contact(story, ids["ORANGE"], claire, eve)
    _documents(story, ids)
    _filters(story)
    _export(story, ids["ORANGE"], eve)


def _contact(story: Story, organisation_id: str, claire: Person, eve: Person) -> None:
    story.step("A contact has somebody who answers for it")
    for person, right, scope in ((claire, "edit", "own"), (eve, "edit", "own"), (eve, "view", "global")):
        power = {"scope_type": scope, "scope_id": "*", "module": "organisation", "action": right}
        given = {"subject": {"type": "user", "id": person.id}, **power}
        grant = story.call("POST", "/grants", 201, json=given).json()["id"]
    body = {"first_name": "Kevin", "last_name": "Casey", "email": "kevin@example.org"}
    place = f"/organisations/{organisation_id}/contacts"
    path = _location(story.call("POST", place, 201, json=body, headers=claire.headers))
    story.call("PATCH", path, 200, json={"phone": "+33 1 40 20 50 50"}, headers=claire.headers)
    kevin = story.read(path)
    story.holds(
        kevin["responsible_id"] == claire.id,
        f"Claire adds {kevin['first_name']} {kevin['last_name']} of Orange, so she answers for him"
        " and corrects his phone",
    )
    other = story.call("PATCH", path, 403, json={"phone": "+33 1 40 20 50 51"}, headers=eve.headers).json()
    story.shows(f"Eve sees him, and may change what is her own: 403, it takes {other['required']}")
    away = story.call("PATCH", path, 403, json={"responsible_id": eve.id}, headers=claire.headers).json()
    story.shows(f"Claire may not pass him on: 403, it takes {away['required']}")
    story.call("POST", f"/grants/{grant}/revoke", 200, json={"reason": "She stays a stranger."})


def _documents(story: Story, ids: Mapping[str, str]) -> None:
    story.step("Documents have versions, and a confidential one never replaces a file silently")
    types = {name: _type(story, name) for name in ("charter", "licence")}
    place = f"/organisations/{ids['LA POSTE']}/documents"
    upload = {"file": ("charter.pdf", PDF, "application/pdf")}
    file_id = story.call("POST", "/files", 201, files=upload, data={"purpose": "document"}).json()["id"]
    charter = {"type_id": types["charter"], "date_approved": "2026-03-01"}
    path = _location(story.call("POST", place, 201, json={**charter, "file_id": file_id}))
    licence = {"type_id": types["licence"], "date_approved": "2026-03-01", "confidential": True}
    secret = _location(story.call("POST", place, 201, json=licence))
    pages = [_content(story, each) for each in (path, secret)]
    story.holds(
        pages[0] == PDF and b"confidential" in pages[1],
        "La Poste's charter is downloaded as it was sent; beside it a licence, of which a page says: confidential",
    )
    refused = story.call("POST", place, 409, json={**charter, "confidential": True}).json()
    story.shows(f"the charter marked confidential without a word on its file: 409 {refused['code']}")
    again = story.call("POST", place, 200, json={**charter, "confidential": True, "replace": True}).json()
    story.holds(
        _content(story, path, number=1) == PDF,
        f"said so: version {again['version']}; version 1 is still there",
    )


def _type(story: Story, name: str) -> str:
    body = {"name": name.title(), "prefix": name, "is_main": name == "charter"}
    ref: str = story.call("POST", "/document-types", 201, json=body).json()["id"]
    return ref


def _location(answer: Any) -> str:
    path: str = answer.headers["location"].removeprefix(API)
    return path


def _content(story: Story, path: str, **parameters: int) -> bytes:
    newest = {"X-Min-Position": str(story.position)}
    return story.call("GET", f"{path}/content", 200, params=parameters, headers=newest).content


def _filters(story: Story) -> None:
    story.step("What users of earlier systems typed runs as written")
    for text in TYPED:
        found = story.read("/organisations", filter=text, include_total="true", page_size=1)
        names = [row["full_name"] for row in found["data"]] + ["…"] * found["has_more"]
        story.holds(found["total"] > 0, f"{text}  →  {found['total']}: {', '.join(names)}")


def _export(story: Story, organisation_id: str, eve: Person) -> None:
    story.step("A list is taken out as a file, and no cell of it is a formula")
    story.call("PATCH", f"/organisations/{organisation_id}", 200, json={"short_name": HARM})
    body = {"list": "organisations", "format": "csv", "filter": "region=11", "order_by": "full_name"}
    body["fields"] = "full_name,short_name,identifiers"
    path = _location(story.call("POST", "/exports", 202, json=body))
    shown = story.soon(lambda: _made(story, path), "the export is made")
    content = _content(story, path)
    rows = list(csv.DictReader(StringIO(content.decode("utf-8-sig"))))
    cell = next(row["short_name"] for row in rows if row["full_name"] == "ORANGE")
    story.holds(
        len(rows) == shown["counts"]["rows"] > 1 and shown["state"] == "completed",
        f"{len(rows)} rows of region 11, {len(content)} bytes, as the list was at position {shown['true_at']}",
    )
    story.holds(cell == f"'{HARM}", f"Orange's short name, {HARM}, is a text there: {cell[:12]}…")
    story.call("GET", path, 404, headers=eve.headers)
    story.shows("for Eve there is no such export: 404")
    story.call("PATCH", f"/organisations/{organisation_id}", 200, json={"short_name": "Orange"})


def _made(story: Story, path: str) -> dict[str, Any] | None:
    seen: dict[str, Any] = story.read(path)
    return seen if seen["state"] != "requested" else None
