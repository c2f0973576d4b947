"""A served node for each test, copied from one that was built once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.web.building import ServedNode, build_node, serve_copy


@pytest.fixture(scope="session")
def node_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data directory of a whole node, to be copied."""
    data = tmp_path_factory.mktemp("node") / "ME"
    build_node(data)
    return data


@pytest.fixture
def node(node_template: Path, tmp_path: Path) -> Iterator[ServedNode]:
    """A node of its own for a test."""
    served = serve_copy(node_template, tmp_path / "ME")
    yield served
    served.close()
