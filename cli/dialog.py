"""The demo's dialog: two talk while both listen, and a stranger learns nothing of it."""

from time import perf_counter

from cli.listening import listening
from cli.people import Person
from cli.story import API, Story


def talk(story: Story, claire: Person, marc: Person, eve: Person) -> None:
    story.step("A dialog: both sides listen, an offer is sent, answered and read; a stranger sees nothing")
    found = story.call(
        "GET",
        "/users",
        200,
        params={"filter": 'name:"petit mar" AND state=active'},
        headers={**claire.headers, "X-Min-Position": str(story.position)},
    ).json()["data"]
    story.holds([each["id"] for each in found] == [marc.id], "Claire finds Marc by two parts of his name")
    opened = story.call("POST", "/dialogs", 201, json={"user_id": marc.id}, headers=claire.headers).json()
    dialog = f"/dialogs/{opened['id']}"
    with listening(story, claire) as hers, listening(story, marc) as his:
        upload = {"file": ("offer.pdf", b"%PDF-1.7\n% a very short one\n%%EOF\n", "application/pdf")}
        file_id = story.call("POST", "/files", 201, files=upload, headers=claire.headers).json()["id"]
        body = {"text": "Here is the offer.", "attachments": [file_id]}
        sent_at = perf_counter()
        sent = story.call("POST", f"{dialog}/messages", 201, json=body, headers=claire.headers)
        again = story.call("POST", f"{dialog}/messages", 409, json=body, headers=claire.headers).json()
        story.shows(f"Claire sends a PDF; the same file once more: 409 {again['code']}")
        offer = his.shows("message.new", "{text!r}, with a file")
        story.figure("from sending a message until its recipient hears it", f"{_ms(offer.at - sent_at)} ms")
        his.shows("unread", "{total} in all")
        content = story.call("GET", f"/files/{file_id}/content", 200, headers=marc.headers)
        story.holds(content.content.startswith(b"%PDF"), "Marc has the file in the same moment")
        answer = {"text": "Thank you. We sign on Monday."}
        story.call("POST", f"{dialog}/messages", 201, json=answer, headers=marc.headers)
        hers.hears("message.new")
        hers.shows("message.new", "{text!r}")
        body = {"message_id": offer.data["id"]}
        story.call("POST", f"{dialog}/read-up-to", 200, json=body, headers=marc.headers)
        his.hears("message.new")
        his.shows("unread", "{total}, for he has read up to the offer, by one fact")
        hers.shows("dialog.read", "it was read at {read_at}")
    own = story.call("POST", f"{dialog}/read-up-to", 403, json=body, headers=claire.headers).json()
    story.shows(f"Claire marks her own message: 403 {own['code']}")
    message = sent.headers["location"].removeprefix(API)
    for path in (f"{dialog}/messages", message, f"/files/{file_id}/content"):
        story.call("GET", path, 404, headers=eve.headers)
    story.shows("for Eve there is no such dialog, message or file: 404, 404, 404")


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:,.0f}"
