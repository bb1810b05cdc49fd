"""`chancery demo` as a newcomer runs it: it ends with its story, or when it is told to, and leaves nothing behind."""

import re
import signal
import subprocess
import sys

import pytest

from infrastructure.embedded.children import wait_until
from tests import servers, whole

DEMO = [sys.executable, "-m", "cli.main", "demo"]


@pytest.fixture
def place():
    folder = servers.place("story")
    folder.mkdir(mode=0o711)
    return folder


def demo(place, **more) -> subprocess.Popen[str]:
    """Piped, so without a terminal; what it makes it makes in `place`."""
    environ = whole.ENVIRONMENT | {"TMPDIR": str(place)}
    return subprocess.Popen(DEMO, env=environ, stdin=subprocess.DEVNULL, text=True, **more)


def test_the_demo_tells_its_story_to_the_end(place):
    with demo(place, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as telling:
        told, complaints = telling.communicate(timeout=whole.START + whole.END)
    assert (telling.returncode, complaints) == (0, ""), told + complaints
    lines = told.splitlines()
    assert lines[-1] == "Everything held."
    assert max(map(len, lines)) <= 120
    for shown in (
        "the preview: 10 added, 0 changed, 90 unchanged, 0 vanished, 0 failed; nothing is written",
        r"its worker is killed \(SIGKILL, \d+\): 10 are written, the import is applying still",
        "another worker goes on with it: 10 added, 0 changed, 90 unchanged",
        "10 organisations registered, as many establishments as the file names, none of them twice",
        "the same file once more, its preview: 0 added, 0 changed, 100 unchanged",
        "with the SIREN and NIC of one that is there: 409 organisation.duplicate, with the one it repeats",
        "Claire adds Kevin Casey of Orange, so she answers for him",
        "Claire may not pass him on: 403, it takes contact:assign",
        "beside it a licence, of which a page says: confidential",
        "409 document.has_file",
        r"documents:\[charter,licence\] AND agreement=yes AND region=\[11,93\]  →  1: LA POSTE",
        r"и не is_gov=да  →  10: ",
        "10 rows of region 11",
        "is a text there: '=HYPERLINK",
        "done once, as version 2",
        "as of v1 it still has no short name",
        r"Orange's letter 17/3-204 is registered as IN-\d{4}-\d{5}, to be answered by yesterday",
        r"signed, it goes out as OUT-\d{4}-00001; signed twice under one key, it is signed once",
        r"it should answer its own answer: 422 letter.parent_cycle",
        r"sender_number: 17/3-204 → 17/3-205, both stay readable",
        r"overdue=true finds IN-\d{4}-\d{5}, and not IN-\d{4}-\d{5}, which was answered",
        r"насосы северных котельных  →  О поставке \[насосов\] для \[северной\] \[котельной\]",
        r"livraisons pompe creteil  →  Sur la \[livraison\] des \[pompes\] à l'atelier de \[Créteil\]",
        r"deliveries boiler  →  On the \[delivery\] of the northern \[boilers\]",
        r"manomètres  →  .*\[manomètre\]",
        "Eve, who may view no letter, finds none of them",
        "400 receipts, each with a position of its own",
        "an occasion before the signature: 409 contract.not_signed",
        "1 occasion was without support, now 0 are",
        "the contract is not canceled: 409 contract.occasion_attached",
        "of 13000.00 agreed 1000.00 paid, 12000.00 remain; of 6000.00 invoiced 5000.00 are owed",
        r"F-\d{4}-000001 as PDF/A-3b",
        "2 contracts, 1 numbers without a gap, debits and credits the same",
        r"entry \d+ under the root of \d+ entries of .*\n.*Alice Durand with LIDL\n   ok\n",
        r"with one byte of it changed: exit 2, TAMPERED: 1 finding\(s\)",
        "with the key of another program: 401 invalid_api_key",
        "under a name nobody has: 401 invalid_client",
        "while it is disabled: 401 client_inactive",
        "run out: 401 client_expired",
        "page than its own: 403 origin_not_allowed",
        "address than its own: 403 ip_not_allowed",
        "not on its list: 403 path_not_allowed",
        "with the right, by a grant like anybody's: 200, 10 organisations",
        r"grant.revoked.v1 at \d+ takes contract:sign",
        r"what a new snapshot says: contract:view at global/\*, user:view",
        r"when it was signed: yes, by grant [0-9a-f-]{36}\n   given by Administrator First at .*, proved by entry \d+",
        r"now: no, revoked at .*, entry \d+",
        "the same file once more: 409 file.already_bound",
        r"Marc hears message.new at \d+: 'Here is the offer.', with a file",
        "Marc hears unread: 1 in all",
        r"Claire hears message.new at \d+: 'Thank you. We sign on Monday.'",
        "Marc hears unread: 0, for he has read up to the offer, by one fact",
        r"Claire hears dialog.read at \d+: it was read at ",
        "Claire marks her own message: 403 message.not_to_you",
        "the thief presents the copy: 401 auth.refresh_token_reused",
        "her list of sessions says of it: closed, refresh_reused",
        r"then 401 \w+, \d{1,3} ms after the block was sent",
        "her password: 403 auth.account_blocked",
        "the same proof proves nothing",
        "10 and 10 rows, equal",
        "The guards are what the log says.",
        r"verify_export.py, one file of Python to read, and the export\n   it says: \d+ entries, root [0-9a-f]{32}",
        r"with one byte of the export changed: exit 2, entry \d+: ",
        r"the database, restored beside: ok: \d+ entries",
        r"behind every trigger: exit 2, TAMPERED: 1 finding\(s\), first at entry \d+",
        "under a legal hold nobody is forgotten: 423, with its id",
        "now: email, first_name, last_name, patronymic, display_name, phone are null",
        "as of then: email, first_name, last_name, patronymic, display_name, phone are null",
        "in the log: email, first_name, last_name, patronymic, display_name, phone are null",
        r"who kept the checkpoint from before: \d+ entries, root [0-9a-f]{32}",
        r"the \d+ entries of his first export are the same, byte for byte",
    ):
        assert re.search(shown, told), shown
    assert list(place.iterdir()) == []


def test_a_demo_that_is_interrupted_ends_what_it_started(place):
    told = place.parent / f"{place.name}.told"
    with told.open("w") as out, demo(place, stdout=out, stderr=out) as telling:
        assert wait_until(lambda: any(place.glob("*/data/run/serve.pid")), whole.START), told.read_text()
        telling.send_signal(signal.SIGINT)
        assert telling.wait(whole.END) == 130
    assert told.read_text().splitlines()[-1] == "Ended."
    assert list(place.iterdir()) == []
