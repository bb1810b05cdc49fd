"""docs/personal-data.md names every personal field there is, whose it is, and every read model that shows it."""

import re
from pathlib import Path

import pytest

from infrastructure.event_codec import event_classes, personal_fields
from infrastructure.exports.lists import listings
from projections.projection import Fold, discover

PAGE = Path(__file__).parents[2] / "docs" / "personal-data.md"
SEALED = {topic: personal_fields(event) for topic, event in event_classes().items() if personal_fields(event)}
WHOSE = {"sender_id": "the sender", "owner_id": "the owner", "requested_by": "whoever asked for it"}
MODELS = {name: model for name, model in discover().items() if isinstance(model, Fold)}


def rows() -> dict[str, list[str]]:
    lines = re.findall(r"^\| `([a-z_.]+\.v\d+)` \| (.*) \|$", PAGE.read_text(), re.MULTILINE)
    return {topic: [cell.strip() for cell in rest.split(" | ")] for topic, rest in lines}


ROWS = rows()


@pytest.mark.parametrize("topic", sorted(SEALED))
def test_every_personal_field_stands_in_the_table(topic):
    fields, whose, *_ = ROWS[topic]
    assert fields.split(", ") == list(SEALED[topic])
    subject = event_classes()[topic].SUBJECT
    noun = topic.partition(".")[0]
    assert whose == (f"the {noun}" if subject is None else WHOSE[subject])


def test_the_table_names_nothing_that_is_not_there():
    assert set(ROWS) - set(event_classes()) == set()
    assert set(ROWS) - set(SEALED) == {"refusal.noted.v1"} & set(ROWS)


@pytest.mark.parametrize("topic", sorted(SEALED))
def test_every_read_model_with_copies_of_others_forgets_them(topic):
    """Those that are the person himself empty their row when they meet the event."""
    event, noun = event_classes()[topic], topic.partition(".")[0]
    shown = {name for name in re.findall(r"\b[a-z_]+\b", ROWS[topic][2]) if name in MODELS}
    assert noun in shown
    if event.SUBJECT is not None:
        assert {name for name in shown if MODELS[name].copies is None} == set()


def test_what_is_shown_of_an_actor_is_a_copy_too():
    assert MODELS["session"].copies is not None


def test_no_list_that_is_given_out_as_a_file_has_copies_of_others():
    """workers/forgetting.py deletes exports of the persons' own lists, and those that the person asked for."""
    given_out = {listing.name for listing in listings().values()}
    assert {"user", "contact"} <= given_out
    assert {name for name in given_out if name in MODELS and MODELS[name].copies is not None} == set()
