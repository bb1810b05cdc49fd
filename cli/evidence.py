"""The demo's evidence: a proof for whoever trusts nobody, a rebuild that is equal, a changed byte that is found."""

import tempfile
from pathlib import Path

from cli.story import Broken, Story
from cli.tampering import change_stored_byte, changed_export, copied_database
from infrastructure.audit.proof import NotProved, check
from infrastructure.audit.signed_note import Verifier, parse_vkey
from projections.leaf import unbundle
from projections.tiles import WIDTH, tile_path


def prove(story: Story, ref: str) -> Verifier:
    story.step("The record is proved to be in the log, and its reader need not trust the operator")
    key = parse_vkey(story.call("GET", "/audit/keys", 200).json()["data"][0]["vkey"])
    story.shows(f"the log's public key: {key.vkey()}")
    at = story.read(f"/organisations/{ref}")["position"]
    proof = story.call("GET", f"/audit/entries/{at}/proof", 200).text
    number, place = divmod(at - 1, WIDTH)
    tile = tile_path(number, place + 1)
    leaf = unbundle(story.call("GET", f"/audit/tile/entries/{tile}", 200).content)[place]
    signed = check(proof, leaf, [key])
    story.shows(f"entry {at} is under the root of {signed.size} entries that this key has signed")
    try:
        check(proof, leaf[:-3] + b"!" + leaf[-2:], [key])
    except NotProved:
        story.shows("with one byte of the entry changed, the same proof proves nothing")
    else:
        raise Broken("a changed entry was proved")
    return key


def rebuild(story: Story) -> None:
    story.step("The read model is thrown away, rebuilt from the events, and compared")
    wanted = {"page_size": 100, "order_by": "full_name"}
    before = story.read("/organisations", **wanted)
    for line in story.tool("projections", "rebuild", "organisation"):
        story.shows(line)
    after = story.read("/organisations", **wanted)
    story.holds(before == after, f"the list before and after, over HTTP: {len(after['data'])} rows, equal")
    for line in (*story.tool("projections", "verify", "organisation"), *story.tool("guards", "verify")):
        story.shows(line)


def tamper(story: Story, key: Verifier) -> None:
    position = story.position // 2
    story.step("One stored byte is changed in a copy, and found")
    with tempfile.TemporaryDirectory() as folder:
        good, bad = Path(folder) / "log.ndjson", Path(folder) / "changed.ndjson"
        story.tool("audit", "export", str(good))
        ours = ("--key", key.vkey())
        story.shows(f"an export, verified offline: {story.tool('audit', 'verify', str(good), *ours)[-1]}")
        changed_export(good, bad, position)
        found = story.tool("audit", "verify", str(bad), *ours, expected=2)
        story.shows(f"the export with one byte changed: exit 2, {found[-1]}")
        story.figure("the log as an auditor takes it away", f"{good.stat().st_size / 1000:,.0f} kB")
    with copied_database(story.stack.data_dir) as url:
        live = ("audit", "verify", "--live", *ours)
        story.shows(f"the database, restored beside: {story.tool(*live, CHANCERY_DATABASE_URL=url)[-1]}")
        change_stored_byte(url, position)
        found = story.tool(*live, expected=2, CHANCERY_DATABASE_URL=url)
        story.shows(f"the same with one byte changed behind every trigger: exit 2, {found[-1]}")
