"""Thousands of schedules; each that goes wrong names its seed, and `played(seed, schedule)` plays it again."""

import logging
import os

import pytest
import structlog

from tests.simulator.loop import played
from tests.simulator.world import schedule

SCHEDULES = int(os.environ.get("SCHEDULES", "2000"))


@pytest.fixture(autouse=True)
def quiet():
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def test_whatever_is_lost_doubled_or_killed_each_event_is_applied_once_and_in_order():
    for seed in range(SCHEDULES):
        wrong = played(seed, schedule)
        assert not wrong, f"seed {seed}: {wrong}"
