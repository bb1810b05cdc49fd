"""The demo's search: three languages, by endings, by a number, by what a file says; and for whom it finds nothing."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from cli.people import Person
from cli.story import Story

SUBJECTS = (
    "О поставке насосов для северной котельной",
    "Sur la livraison des pompes à l'atelier de Créteil",
    "On the delivery of the northern boilers",
)
ASKED = ("насосы северных котельных", "livraisons pompe creteil", "deliveries boiler")
OFFER = "Devis n° 7: remplacement du manomètre, garantie deux ans.\n"


def look_through(story: Story, ids: Mapping[str, str], eve: Person) -> None:
    """`eve` may view no letter."""
    story.step("One search in three languages, files included, within what each may view")
    upload = {"file": ("devis.txt", OFFER.encode(), "text/plain")}
    offer = story.call("POST", "/files", 201, files=upload).json()["id"]
    today = datetime.now(UTC).date().isoformat()
    numbers = list[str]()
    for subject, enclosed in zip(SUBJECTS, ([], [offer], []), strict=True):
        body = {"organisation_ids": [ids["ORANGE"]], "subject": subject, "received_on": today}
        came = {"sender_number": "5", "sender_date": today, "attachments": enclosed}
        numbers.append(story.call("POST", "/letters/incoming", 201, json=body | came).json()["number"])
    for asked, subject in zip(ASKED, SUBJECTS, strict=True):
        best = _best(story, asked)
        story.holds(best.get("title") == subject, f"{asked}  →  {_shown(best)}")
    typed = numbers[-1].lower()
    story.holds(
        _best(story, typed).get("number") == numbers[-1], f"{typed}  →  {numbers[-1]}, before all else"
    )
    found = story.soon(lambda: _best(story, "manomètres") or None, "the file is read")
    by_file = found["title"] == SUBJECTS[1] and found["highlights"][0]["field"] == "attachment"
    story.holds(by_file, f"manomètres  →  the French one, by its enclosure: {_shown(found)}")
    headers = {**eve.headers, "X-Min-Position": str(story.position)}
    nothing = story.call("GET", "/search", 200, params={"q": ASKED[0]}, headers=headers).json()
    story.holds(nothing["data"] == [], "Eve, who may view no letter, finds none of them")


def _best(story: Story, asked: str) -> dict[str, Any]:
    """Empty, if there is nothing."""
    found: list[dict[str, Any]] = story.read("/search", q=asked)["data"]
    return found[0] if found else {}


def _shown(found: Mapping[str, Any]) -> str:
    """What was found in it, hits in brackets."""
    marked = found.get("highlights") or [{"pieces": []}]
    return "".join(f"[{each['text']}]" if each["hit"] else each["text"] for each in marked[0]["pieces"])
