"""What the fault tests share: one process that runs experiments, and the nodes that they break."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.injection import Laboratory
from tests.faults.scenarios import Publication, Sync
from tests.simulators.served_network import ServedNode
from tests.web.conftest import node, node_template

__all__ = ["node", "node_template"]


@pytest.fixture(scope="session")
def lab() -> Iterator[Laboratory]:
    """Children of one process that has the program loaded."""
    laboratory = Laboratory()
    yield laboratory
    laboratory.close()


@pytest.fixture(scope="module")
def served_origin() -> Iterator[ServedNode]:
    """RS, simulated behind a real socket."""
    with ServedNode("RS") as served:
        yield served


@pytest.fixture(scope="module")
def publication(tmp_path_factory: pytest.TempPathFactory) -> Publication:
    """An import to be broken."""
    return Publication(tmp_path_factory.mktemp("publication"))


@pytest.fixture(scope="module")
def sync(tmp_path_factory: pytest.TempPathFactory, served_origin: ServedNode) -> Sync:
    """A sync to be broken."""
    return Sync(tmp_path_factory.mktemp("sync"), served_origin.node)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where an experiment has its copy of the node."""
    return tmp_path
