"""What reads the files of a log takes anything, and believes nothing that was changed. `make fuzz` goes on with it."""

import pytest

from tests.parsers import CASES, once


@pytest.mark.parametrize("what", CASES, ids=[case.__name__ for case in CASES])
def test_whatever_it_reads_it_refuses_or_reads_in_its_one_spelling(what):
    once(what, 7, 60)
