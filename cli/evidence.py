"""The demo's evidence: a proof for whoever trusts nobody, and a rebuild that is equal."""

from cli.story import Broken, Story
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
