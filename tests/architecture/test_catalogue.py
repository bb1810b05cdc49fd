"""The catalogue of rights against the code that asks for them: what is asked for can be granted."""

import ast
import re
from pathlib import Path

from application.access import MODERATOR, USER
from application.catalogue import EVERYTHING, UNGRANTED
from application.decision import PROVED

ROOT = Path(__file__).parents[2]
RIGHT = re.compile(r"[a-z_]+:[a-z_]+")


def asked_for():
    """Every text in code that has the form of a right."""
    for folder in ("api", "application", "infrastructure", "workers"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                if (
                    isinstance(node, ast.Constant)
                    and isinstance(node.value, str)
                    and RIGHT.fullmatch(node.value)
                ):
                    yield node.value


def test_every_right_that_code_asks_for_is_in_the_catalogue():
    assert set(asked_for()) >= {"grant:give", "organisation:edit"}
    assert set(asked_for()) - EVERYTHING == UNGRANTED


def test_roles_hold_what_is_in_the_catalogue():
    assert MODERATOR | USER <= EVERYTHING


def proved():
    """The rights that stand in a call with `step_up=True`."""
    for path in (ROOT / "application").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and any(
                each.arg == "step_up" and isinstance(each.value, ast.Constant) and each.value.value is True
                for each in node.keywords
            ):
                given = (*node.args, *(each.value for each in node.keywords if each.arg != "view"))
                yield from (
                    each.value
                    for each in given
                    if isinstance(each, ast.Constant) and RIGHT.fullmatch(str(each.value))
                )


def test_what_a_command_wants_proved_the_answers_to_questions_say_too():
    assert set(proved()) >= {"grant:give", "contract:sign"}
    assert set(proved()) <= PROVED <= EVERYTHING | UNGRANTED
