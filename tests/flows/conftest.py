"""A federation of three real nodes, made once for all flows (they run in one worker of a parallel run)."""

from collections.abc import Iterator

import pytest

from tests.flows.federation import START_SECONDS, FlowNode, stopping
from tests.waiting import eventually
from web.demo import join_nodes, sync_nodes
from web.demo_plan import DemoNode

Trio = tuple[FlowNode, FlowNode, FlowNode]


@pytest.fixture(scope="session")
def trio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trio]:
    """ME (the anchor), RS and MK, served and synced."""
    root = tmp_path_factory.mktemp("federation")
    nodes = tuple(FlowNode.at(root, code) for code in ("ME", "RS", "MK"))
    with stopping(nodes):
        for node in nodes:
            node.make()
        for node in nodes:
            node.start(wait=False)
        for node in nodes:
            eventually(node.answers, START_SECONDS)
        members = [DemoNode(node.participant, order, node.url, node.data) for order, node in enumerate(nodes)]
        join_nodes(members)
        sync_nodes(members)
        me, rs, mk = nodes
        yield me, rs, mk
