"""How long the fuzzing runs, and its figures.

``make test`` runs the profile ``short``, always the same examples; ``make fuzz`` the profile ``long``, other examples
each time. Where ``FUZZ_FIGURES`` names a file, the number of examples of each test is added to it.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from tests.fuzz.attempts import EXAMPLES

_QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture]
_PHASES = (Phase.explicit, Phase.generate, Phase.shrink)
settings.register_profile(
    "short", max_examples=25, deadline=None, derandomize=True, database=None, suppress_health_check=_QUIET
)
settings.register_profile(
    "long", max_examples=150, deadline=None, database=None, suppress_health_check=_QUIET, phases=_PHASES
)
settings.load_profile(os.environ.get("FUZZ_PROFILE", "short"))


@pytest.fixture(scope="session", autouse=True)
def figures() -> Iterator[None]:
    """Write how many examples were tried."""
    yield
    path = os.environ.get("FUZZ_FIGURES")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(json.dumps(EXAMPLES) + "\n")
