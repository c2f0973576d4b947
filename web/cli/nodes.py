"""How commands reach their node with its keys, for those that sign or talk to others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sync.node import Node
from web.cli.databases import database_errors, node_config
from web.config import Config
from web.node import open_node
from web.schema import check_version


@contextmanager
def opened_node(data: Path) -> Iterator[tuple[Config, Node]]:
    """The node in ``data``: its settings, database and keys."""
    config = node_config(data)
    with database_errors(config.database):
        node = open_node(config)
        try:
            check_version(node.engine)
            yield config, node
        finally:
            node.engine.dispose()
