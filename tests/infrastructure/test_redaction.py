"""What never stands in a log line, each tried by name and by form."""

import io
import json
import logging
import subprocess
import sys
import threading

import pytest
import structlog

from infrastructure.logging import caused_by, configure
from infrastructure.redaction import MASK, clean, redacted
from infrastructure.settings import Settings

JWT = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhYmMifQ.c2lnbmF0dXJl"
SECRETS = {
    "an access token": (f"Authorization: Bearer {JWT}", JWT),
    "a token alone": (f"got {JWT} from somewhere", JWT),
    "basic credentials": ("authorization: Basic YWRtaW46c2VjcmV0", "YWRtaW46c2VjcmV0"),
    "a refresh token": ("rt1_Ab3dEf6hIj9lMn2pQr5tUv8xYz1bCd4eFg7hIj0kLm3n", "Ab3dEf6hIj9l"),
    "an API key": ("chk_0123456789ab_AbCdEfGhIjKlMnOpQrStUvWxYz0123456789ABCDEFG", "AbCdEfGhIj"),
    "a cookie": ("cookie: __Host-chancery_access=abcdef", "abcdef"),
    "a password in a URL": ("postgresql://app:apple@db:5432/chancery", "apple"),
    "a password alone in a URL": ("unix://:pear@/run/redis.sock?db=0", "pear"),
    "a token in a query": ("GET https://idp.example/x?access_token=plum&page=2", "plum"),
    "a presigned address": ("https://s3/x?X-Amz-Signature=00ff00ff&X-Amz-Date=2026", "00ff00ff"),
    "a password in JSON": ('{"login": "x", "password": "cherry pie"}', "cherry pie"),
    "a password in Python": ("User(password='cherry pie', age=3)", "cherry pie"),
    "a password in an assignment": ("CHANCERY_ADMIN_PASSWORD=quince", "quince"),
    "a hash of a password": ("$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA", "c2FsdA"),
    "an older hash": ("$2b$12$abcdefghijklmnopqrstuv", "abcdefghij"),
    "a private key": ("-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----", "MIGH"),
    "a key in base64": ("key AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=", "AAECAwQF"),
    "an e-mail address": ("no such user zoe.o'hara+x@mail.example.org here", "zoe"),
    "a phone number": ("call +33 6 12 34 56 78 now", "12 34 56"),
    "a row PostgreSQL refused": (
        'duplicate key value violates "u"\nDETAIL:  Key (name)=(Zoe Zeta) already exists.\nmore',
        "Zoe",
    ),
}


@pytest.mark.parametrize("said", SECRETS.values(), ids=SECRETS.keys())
def test_its_form_gives_it_away(said):
    text, secret = said
    assert secret in text
    assert secret not in redacted(text)
    assert secret not in str(clean("detail", [{"inner": text}]))


PLAIN = (
    "event 019a2b3c-4d5e-7f60-8192-a3b4c5d6e7f8 at position 4711: ValueError: poisoned",
    "GET /api/v1/organisations/{ref} 200",
    'File "/srv/chancery/writer.py", line 104, in append',
    "connection to server at 127.0.0.1, port 5432 failed: Connection refused",
    "stops at 2026-01-01T10:00:00.123456+00:00 with 1.5 s",
    "https://idp.example/application/o/chancery/ answered 503",
)


@pytest.mark.parametrize("text", PLAIN)
def test_what_helps_to_find_a_fault_stays(text):
    assert redacted(text) == text


NAMES = (
    *("password", "new_password", "secret", "token", "access_token", "authorization", "Cookie", "api_key"),
    *("client-key", "X-API-Key", "key_encryption_key", "email", "login", "phone", "first_name"),
    *("display_name", "address", "agent", "sub", "otp"),
)


@pytest.mark.parametrize("name", NAMES)
def test_a_field_of_such_a_name_is_hidden_whatever_it_holds(name):
    for value in ("anything", 4711, ["a"], {"b": "c"}, b"d"):
        assert clean(name, value) == MASK
    assert clean("outer", {name: "anything"}) == {name: MASK}
    assert clean(name, None) is None


def test_other_fields_stay_as_they_are():
    assert clean("position", 4711) == 4711
    assert clean("found", {"a": [1, "b", None, True]}) == {"a": [1, "b", None, True]}
    assert clean("raw", b"abc") == "3 bytes"


def test_what_has_no_bottom_is_cut():
    deep: dict[str, object] = {}
    deep["a"] = deep
    assert MASK in str(clean("deep", deep))


@pytest.fixture
def lines(monkeypatch):
    """Lines as `json` writes them, of our loggers and of libraries'."""
    configured, handlers = structlog.get_config(), logging.getLogger().handlers[:]
    level = logging.getLogger().level
    hooks = sys.excepthook, threading.excepthook
    said = io.StringIO()
    monkeypatch.setattr(sys, "stderr", said)
    configure(Settings(log_format="json"), "tests")
    yield lambda: [json.loads(text) for text in said.getvalue().splitlines()]
    structlog.configure(**configured)
    logging.basicConfig(level=level, handlers=handlers, force=True)
    logging.captureWarnings(capture=False)
    sys.excepthook, threading.excepthook = hooks


def test_a_line_carries_the_request_it_follows_from(lines):
    log = structlog.get_logger("fresh").bind()
    with caused_by("request-1"):
        log.warning("one")
    log.warning("two")
    log.warning("three", request_id="its own")
    assert [line.get("request_id") for line in lines()] == ["request-1", None, "its own"]


def test_libraries_threads_and_exceptions_leave_one_json_line_each_without_secrets(lines):
    logging.getLogger("some.library").warning("cannot reach postgresql://app:%s@db", "apple")
    logging.getLogger("some.library").info("chatter")
    try:
        int("password='cherry pie'")
    except ValueError as error:
        structlog.get_logger("fresh").bind().error("failed", exc_info=error, api_key="chk_x")
        sys.excepthook(type(error), error, error.__traceback__)

    def die() -> None:
        raise LookupError("nobody is zoe@example.org")

    thread = threading.Thread(target=die)
    thread.start()
    thread.join()
    library, failed, uncaught, died = lines()
    assert (library["logger"], library["level"], library["event"]) == (
        "some.library",
        "warning",
        f"cannot reach postgresql://{MASK}@db",
    )
    assert failed["api_key"] == MASK
    assert "ValueError" in failed["exception"]
    assert uncaught["level"] == "critical"
    assert "LookupError" in died["exception"]
    assert not any(secret in str((failed, uncaught, died)) for secret in ("cherry", "zoe", "chk_x"))


@pytest.mark.usefixtures("lines")
@pytest.mark.parametrize(("level", "written"), [("debug", 4), ("info", 3), ("warning", 2), ("error", 1)])
def test_the_least_level_is_a_setting(level, written, monkeypatch):
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    configure(Settings(log_format="json", log_level=level), "tests")
    log = structlog.get_logger("fresh").bind()
    for say in (log.debug, log.info, log.warning, log.error):
        say("something")
    assert len(sys.stderr.getvalue().splitlines()) == written


def test_a_program_that_dies_says_so_in_one_line():
    program = (
        "from infrastructure.logging import configure\nfrom infrastructure.settings import Settings\n"
        "configure(Settings(log_format='json'), 'tests')\nraise RuntimeError('token=plum')"
    )
    ran = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120
    )
    (text,) = ran.stderr.splitlines()
    assert ran.returncode == 1
    assert json.loads(text)["level"] == "critical"
    assert "RuntimeError" in json.loads(text)["exception"]
    assert "plum" not in text
