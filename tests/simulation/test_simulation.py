"""Twelve nodes and seeded chance: every fork is found, nobody honest is accused, every honest log converges.

``VEZA_SIMULATION_SEEDS`` sets how many seeds are tried; ``python -m tests.simulation --seeds N`` prints the figures.
"""

import os
from pathlib import Path

import pytest

from tests.simulation.schedule import Case, Figures
from tests.simulation.world import prepare

SEEDS = range(int(os.environ.get("VEZA_SIMULATION_SEEDS", "2")))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory, sqlite_template: Path) -> Path:
    """The databases of nodes that follow one another and are well."""
    folder = tmp_path_factory.mktemp("prepared")
    prepare(folder, sqlite_template)
    return folder


@pytest.mark.parametrize("seed", SEEDS)
def test_forks_are_found_and_the_honest_converge(tmp_path: Path, prepared: Path, seed: int) -> None:
    figures = Figures()
    Case(tmp_path, prepared, seed, figures).run()
    assert figures.faults == []
    assert figures.cases == 1
    assert figures.pulls_of_honest_logs > 80
