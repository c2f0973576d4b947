"""F01, F02: a publication and a sync that are killed, or meet a failing or full disk, at any of their writes.

Whatever the point: the state before or after and nothing between, what was acknowledged is there, one tree, every byte
verifies, and the next operation works with no other step.
"""

import os
from pathlib import Path

import pytest

from tests.faults.injection import FAULTS, Laboratory, can_trace
from tests.faults.scenarios import Scenario
from tests.faults.sweep import AGAIN_EVERY, STRIDE, choose_points, count_points, sweep

FULL = "VEZA_FULL_SWEEP" in os.environ


@pytest.mark.parametrize("operation", ["publication", "sync"])
@pytest.mark.parametrize("fault", FAULTS)
def test_f01_f02_any_write(
    request: pytest.FixtureRequest, lab: Laboratory, folder: Path, operation: str, fault: str
) -> None:
    scenario: Scenario = request.getfixturevalue(operation)
    counted = count_points(lab, scenario, folder, traced=can_trace())
    points = choose_points(counted, fault, 1 if FULL else STRIDE)
    figures = sweep(lab, scenario, folder, points, 1 if FULL else AGAIN_EVERY)
    assert figures.tried >= 10
    assert figures.before > 0


@pytest.mark.parametrize(("operation", "fault"), [("publication", "EIO"), ("sync", "EIO"), ("sync", "KILL")])
def test_f01_f02_any_statement(
    request: pytest.FixtureRequest, lab: Laboratory, folder: Path, operation: str, fault: str
) -> None:
    """The same at the layer of statements and commits, which needs no tracing."""
    scenario: Scenario = request.getfixturevalue(operation)
    counted = count_points(lab, scenario, folder, traced=False)
    figures = sweep(lab, scenario, folder, choose_points(counted, fault, 1 if FULL else STRIDE), AGAIN_EVERY)
    assert figures.before > 0
