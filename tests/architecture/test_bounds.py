"""Nothing that a process keeps grows for ever: each queue, cache and buffer says what bounds it, as does the table."""

import pytest

from tests.bounds import PAGE, containers, of_module, page

UNBOUNDED = """
import asyncio
from collections import deque
_known: dict[str, int] = {}
class Queue:
    def __init__(self):
        self.waiting = deque()
        self.more, self.fewer = asyncio.Queue(), []
@cache
def f(x): ...
@lru_cache(maxsize=None)
def g(x): ...
"""
BOUNDED = """
_known: dict[str, int] = {}  # bounded: by the nouns
TABLE = {"a": 1}
class Queue:
    def __init__(self):
        self.waiting = deque(maxlen=9)
        # bounded: by one
        self.more = []
        local = []
    def empty(self):
        self.more = []
class Run:  # bounded: one run
    def __init__(self):
        self.found = set()
        self.threads = Bounded("letters", threads=2, waiting=4)
@lru_cache(10)
def f(x): ...
"""


def test_whatever_grows_says_what_bounds_it():
    silent = [f"{each.path}:{each.line} {each.name}" for each in containers() if each.bound is None]
    assert not silent, "say in a comment `# bounded: ...`, here or above, why it does not grow for ever"


def test_the_table_in_the_documents_is_what_the_code_says():
    assert PAGE.read_text() == page(), "write it anew: python -m tests.bounds"


@pytest.mark.parametrize("name", ["_known", "Queue.waiting", "Queue.more", "Queue.fewer", "f()", "g()"])
def test_a_container_without_a_bound_is_seen(name):
    assert {each.name: each.bound for each in of_module("m.py", UNBOUNDED)}[name] is None


def test_a_bound_is_what_the_code_or_its_comment_says():
    assert {each.name: each.bound for each in of_module("m.py", BOUNDED)} == {
        "_known": "by the nouns",
        "Queue.waiting": "by 9, the oldest goes",
        "Queue.more": "by one",
        "Run.found": "one run",
        "Bounded('letters', threads=2, waiting=4)": "so many threads, so many waiting, then Busy (503)",
        "f()": "by 10 entries, the one unused for longest goes",
    }
