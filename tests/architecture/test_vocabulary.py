"""What no linter can hold: one vocabulary in code, log and documents, and no file that grows out of hand."""

import ast
import inspect
import re
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from hashlib import sha256
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import msgspec
import pytest

from domain.shared import Command, Event, Stored, noun_of
from infrastructure.event_codec import EventCodec, event_classes, modules, personal_fields, upcasts
from tests import golden_files

ROOT = Path(__file__).parents[2]
PRODUCT = ["api", "application", "cli", "domain", "infrastructure", "projections", "workers"]
VAGUE = {"base", "common", "helper", "helpers", "manager", "misc", "service", "util", "utils"}
LONGEST = 300

CODE = sorted(path for folder in PRODUCT for path in (ROOT / folder).rglob("*.py"))
DOMAIN = sorted((ROOT / "domain").rglob("*.py"))
PAGES = sorted(path for pattern in ("*.md", "docs/**/*.md") for path in ROOT.glob(pattern))


def told(path: Path) -> str:
    return str(path.relative_to(ROOT))


def classes(stem, kind):
    found = {
        value  # a union of one is another name for the class, not another class
        for module in modules(stem)
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, kind) and value.__module__ == module.__name__
    }
    return sorted(found, key=named)


def named(found):
    return f"{found.__module__}.{found.__qualname__}"


EVENTS, COMMANDS = classes("events", Event), classes("commands", Command)


# --- events and commands ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("event", EVENTS, ids=named)
def test_a_topic_is_noun_participle_and_version_and_its_noun_is_its_folder(event):
    noun, participle, version = event.TOPIC.split(".")
    assert noun == noun_of(event.__module__.split(".")[1])
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", participle)
    assert re.fullmatch(r"v[1-9][0-9]*", version)


def test_a_topic_belongs_to_one_event():
    assert [topic for topic, count in Counter(event.TOPIC for event in EVENTS).items() if count > 1] == []


@pytest.mark.parametrize("struct", EVENTS + COMMANDS, ids=named)
def test_events_and_commands_are_frozen_and_take_names_only(struct):
    assert struct.__struct_config__.frozen
    parameters = inspect.signature(struct).parameters.values()
    assert {parameter.kind for parameter in parameters} <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("topic", sorted({*event_classes(), *upcasts()}))
def test_what_was_ever_written_is_still_read(topic):
    """`python -m tests.golden_files` writes a new topic's file. An old one is never edited: some log holds it."""
    file = golden_files.FOLDER / f"{topic}.json"
    stored = Stored(
        position=1,
        event_id=UUID(int=1),
        stream_id=golden_files.STREAM,
        version=1,
        topic=topic,
        recorded_at=datetime.now(UTC),
        meta=b'{"actor":["system","00000000-0000-0000-0000-000000000000"],"request_id":"golden"}',
        state=file.read_bytes(),
    )
    event = EventCodec().decode(stored, golden_files.KEYS).event
    if topic == event.TOPIC:
        shown = msgspec.json.decode(msgspec.json.encode(event))
        sealed = personal_fields(type(event))
        for name, value in msgspec.json.decode(stored.state).items():
            assert name in shown, "a field was renamed or removed"
            assert name in sealed or shown[name] == value


def test_no_golden_file_stands_alone():
    files = {path.stem for path in golden_files.FOLDER.glob("*.json")}
    assert files == event_classes().keys() | upcasts().keys()


def test_a_golden_file_is_never_edited_and_never_goes_away():
    """`python -m tests.golden_files` adds the digest of a new one."""
    found = {path.name: sha256(path.read_bytes()).hexdigest() for path in golden_files.FOLDER.glob("*.json")}
    assert found == golden_files.digests()


def test_every_event_is_in_the_glossary():
    glossary = (ROOT / "docs/glossary.md").read_text()
    assert [event.__name__ for event in EVENTS if not re.search(rf"\b{event.__name__}\b", glossary)] == []


# --- code ------------------------------------------------------------------------------------------------------


def violating(paths, breaks):
    """The paths, and what it is, where `breaks(path)` answers something."""
    return [f"{told(path)}: {problem}" for path in paths if (problem := breaks(path))]


def test_a_module_says_in_a_sentence_what_lives_there():
    def silent(path):
        tree = ast.parse(path.read_text())
        return bool(tree.body) and not (ast.get_docstring(tree) or "").split("\n")[0].endswith(
            (".", "?", "!")
        )

    assert violating(CODE, silent) == []


def test_nothing_is_imported_for_type_checkers_alone():
    """msgspec, Litestar and singledispatch read annotations at run time."""
    assert violating(CODE, lambda path: "TYPE_CHECKING" in path.read_text()) == []


def test_files_stay_readable():
    lengths = {path: len(path.read_text().splitlines()) for path in CODE}
    assert violating(CODE, lambda path: lengths[path] * (lengths[path] > LONGEST)) == []


def test_files_are_named_for_what_they_hold():
    assert violating(CODE, lambda path: path.stem in VAGUE) == []


def test_the_domain_imports_the_standard_library_and_msgspec_alone():
    def foreign(path):
        names = set()
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                names.add((node.module or "").split(".")[0])
        return names - sys.stdlib_module_names - {"msgspec", "domain"}

    assert violating(DOMAIN, foreign) == []


def test_the_domain_has_no_clock_and_no_dice():
    dice = r"\b(?:datetime|date)\.(?:now|utcnow|today)\(|\b(?:uuid[147]|urandom|token_\w+|random|time)\("
    assert violating(DOMAIN, lambda path: re.findall(dice, path.read_text())) == []


# --- documents -------------------------------------------------------------------------------------------------


def test_every_path_a_page_names_exists():
    folders = {found.name for found in ROOT.iterdir() if found.is_dir()}

    def missing(page):
        names = re.findall(r"`([\w.<>*-]+(?:/[\w.<>*-]+)+/?)`", page.read_text())
        ours = (name for name in names if name.split("/")[0] in folders)
        return [name for name in ours if not list(ROOT.glob(re.sub(r"<[\w-]+>", "*", name.rstrip("/"))))]

    assert violating(PAGES, missing) == []


def test_every_link_between_pages_leads_somewhere():
    def broken(page):
        links = re.findall(r"\]\((?!\w+:)([^)\s#]+)(?:#[^)]*)?\)", page.read_text())
        return [link for link in links if not (page.parent / link).exists()]

    assert violating(PAGES, broken) == []


def test_decisions_are_numbered_without_gap_or_repeat():
    numbers = sorted(int(path.name.split("-")[0]) for path in (ROOT / "docs/decisions").glob("[0-9]*.md"))
    assert all(after == before + 1 for before, after in pairwise(numbers))


# --- the repository --------------------------------------------------------------------------------------------


def tracked():
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True).stdout.decode()
    return [path for name in listed.split("\0") if name and (path := ROOT / name).is_file()]


def test_no_file_names_a_machine_or_a_registry():
    machine = r"(?<![\w.])/(?:root|work|farm|home)/\w"
    registry = r"https?://[^\s/\"']*(?:nexus|artifactory|mirror|pypi\.(?!org))"
    option = r"--(?:extra-)?(?:index-url|find-links)[ =]http"
    found = []
    for path in tracked():
        text = path.read_bytes().decode(errors="replace")
        found += [f"{told(path)}: {hit[0]}" for hit in re.finditer(f"{machine}|{registry}|{option}", text)]
    assert found == []


def test_pins_come_from_no_named_host():
    assert not (ROOT / "uv.lock").exists()
    for lock in ROOT.glob("requirements*.lock"):
        text = lock.read_text()
        assert "://" not in text
        assert "--hash=sha256:" in text
