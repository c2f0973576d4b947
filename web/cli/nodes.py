"""How commands reach their node with its keys, for those that sign or talk to others."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from directory.database import reading
from federation.own_node import held_back_words, load_own_node
from sync.clock_watch import ClockWatch, look_at_clock
from sync.node import Node
from sync.own_log import COMPARED_FOR, Comparison, settle_own_log
from sync.processes import known_process
from web.cli.databases import database_errors, node_config
from web.cli.failure import CommandError
from web.cli.output import working
from web.cli.parameters import now
from web.config import Config
from web.node import open_node
from web.schema import check_version


@contextmanager
def opened_node(data: Path) -> Iterator[tuple[Config, Node]]:
    """The node in ``data``: its settings, database and keys. What it may sign then depends on its clock."""
    config = node_config(data)
    with database_errors(config.database):
        node = open_node(config)
        try:
            check_version(node.engine)
            look_at_clock(node, ClockWatch())
            yield config, node
        finally:
            node.engine.dispose()


@contextmanager
def signing_node(data: Path) -> Iterator[tuple[Config, Node]]:
    """The node in ``data`` for a command that appends to the own log or signs its configuration.

    Where no other process of the node runs, the own log is compared first with what the peers hold of it (protocol.md,
    section 5). CommandError ``busy`` where it cannot be signed yet.
    """
    with opened_node(data) as (config, node), known_process(node.engine, "command", now()):
        compare_first(node)
        yield config, node


def compare_first(node: Node) -> None:
    """Compare the own log with the peers' where it is held back for that; CommandError where it stays held back."""
    with reading(node.engine) as session:
        own = load_own_node(session)
    if own.held_back is None or own.clock_refused is not None:
        return  # signing itself says what is wrong with the clock
    with working("comparing the own log with the peers'"):
        comparison = settle_own_log(node, now()) if own.held_back in COMPARED_FOR else None
    if comparison is None or not comparison.released:
        raise CommandError("busy", _words(comparison))


def _words(comparison: Comparison | None) -> str:
    return held_back_words("elsewhere") if comparison is None else comparison.detail
