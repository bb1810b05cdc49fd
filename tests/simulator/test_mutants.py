"""The simulator bites: with one of these switched on, some schedule goes wrong soon."""

import logging

import pytest
import structlog

from tests.rig.mutants import MUTANTS, Finder
from tests.simulator.loop import Stuck, played
from tests.simulator.world import schedule

SOON = 400
"""Schedules among which one must go wrong."""
SIMULATED = [name for name, mutant in MUTANTS.items() if mutant.finder is Finder.SIMULATOR]


@pytest.mark.parametrize("name", SIMULATED)
def test_it_is_noticed(name, monkeypatch):
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    MUTANTS[name].patch(monkeypatch.setattr)
    assert any(_goes_wrong(seed) for seed in range(SOON))


def _goes_wrong(seed):
    try:
        return played(seed, schedule)
    except Stuck:
        return True
