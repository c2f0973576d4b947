"""The demo federation: real nodes on loopback, with an anchor, sample data, rotas and people to sign in as.

Nothing here is a short cut: nodes are made, filled, enrolled and synced by the functions behind ``veza init``,
``import``, ``user add``, ``anchor …`` and ``sync``, and served by ``veza serve``. Everything lies below one directory,
``<dir>/<CODE>`` per node; a later demo in the same directory goes on where it was.
"""

import datetime as dt
import os
import signal
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from multiprocessing import get_context

from directory.database import reading, writing
from directory.document import parse_document
from federation.keys import parse_jwks
from federation.participants import load_participants
from sync.configurations import refresh_configuration
from sync.refresh import refresh_trust
from sync.run import Run, Traffic
from sync.source import Source
from web import accounts
from web.cli.anchor import enrol_node, make_anchor, trust_anchor
from web.cli.importing import import_records
from web.cli.init import create_node
from web.cli.nodes import opened_node
from web.cli.parameters import now
from web.cli.sync import pull
from web.config import SETTINGS_FILE
from web.demo_plan import DemoNode, home_unit, sample_document
from web.demo_processes import DemoError, DemoProcesses, check_ports
from web.demo_rotas import with_duty
from web.serving import end_with_parent

PASSWORD = "demo federation"  # noqa: S105  # printed for everybody to see; the nodes listen on loopback only
PEOPLE = {
    "officer": ("officer",),
    "duty": ("officer", "duty"),
    "rota": ("officer", "rota_admin"),
    "admin": ("node_admin",),
    "auditor": ("auditor",),
}
"""Whom one can sign in as on every node, with their roles."""
PROCESSES = 2
SYNC_SECONDS = 120.0
_PREPARED = "demo-prepared"
_JOINED = "demo-joined"
Say = Callable[[str], None]


def start_demo(nodes: Sequence[DemoNode], processes: DemoProcesses, say: Say) -> None:
    """Make what is missing, serve every node, let them trust each other, and sync until each holds all.

    ``say`` hears what is being done. Raises PortInUseError or DemoError where the demo cannot start; what was started
    is then ``processes``' to stop.
    """
    check_ports(nodes)
    say(f"preparing {len(nodes)} nodes")
    prepare_nodes(nodes, now())
    say("starting them")
    for node in nodes:
        processes.start(node)
    processes.wait_until_healthy(nodes)
    say("joining them under the anchor")
    join_nodes(nodes)
    say("syncing")
    sync_nodes(nodes)


def prepare_nodes(nodes: Sequence[DemoNode], start: dt.datetime) -> None:
    """Make every node that is not there yet, with its sample data and people; several at a time."""
    missing = [node for node in nodes if not (node.data / _PREPARED).exists()]
    if not missing:
        return
    initializer = partial(_start_helper_process, os.getpid())
    # spawned, not forked: this process may already have threads
    with ProcessPoolExecutor(min(PROCESSES, len(missing)), get_context("spawn"), initializer) as pool:
        list(pool.map(partial(prepare_node, start=start), missing))


def prepare_node(node: DemoNode, start: dt.datetime) -> None:
    """``veza init``, ``veza import`` and ``veza user add`` for one node; a half made one is completed."""
    sample = sample_document(node.participant)
    if not (node.data / SETTINGS_FILE).exists():
        settings = {"participant": node.participant, "url": node.url, "insecure_urls": True}
        create_node(node.data, settings | {"name": f"{sample['names']['en']} (demo)"})
    with opened_node(node.data) as (_, opened):
        import_records(opened, parse_document(with_duty(sample, node.order, start), node.participant))
        with writing(opened.engine) as session:
            known = {account.name for account in accounts.list_users(session)}
            for name, roles in PEOPLE.items():
                if name not in known:
                    accounts.add_user(session, name, PASSWORD, roles, home_unit(sample), start)
    (node.data / _PREPARED).touch()


def join_nodes(nodes: Sequence[DemoNode]) -> None:
    """``veza anchor init`` and ``enrol`` on the first node, ``veza anchor trust`` on each."""
    missing = [node for node in nodes if not (node.data / _JOINED).exists()]
    if not missing:
        return
    with opened_node(nodes[0].data) as (config, opened):
        keys = parse_jwks(make_anchor(config), anchor=True)
    with opened_node(nodes[0].data) as (config, opened):
        for node in missing:
            enrol_node(opened, node.url, node.participant)
    for node in missing:
        with opened_node(node.data) as (_, opened):
            trust_anchor(opened, config.anchor_entity_id, keys)
        (node.data / _JOINED).touch()


def sync_nodes(nodes: Sequence[DemoNode]) -> None:
    """``veza sync`` on every node until all succeeded everywhere; DemoError with what failed if that takes too long."""
    deadline = time.monotonic() + SYNC_SECONDS
    waiting = list(nodes)
    with ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(_meet_others, waiting))  # a node answers only those whose keys it knows already
        while waiting:
            failures = dict(zip(waiting, pool.map(_sync_node, waiting), strict=True))
            waiting = [node for node, failed in failures.items() if failed]
            if waiting and time.monotonic() > deadline:
                failed = "; ".join(f"{node.participant}: {failures[node]}" for node in waiting)
                raise DemoError(f"not everything could be synced: {failed}")


def _meet_others(node: DemoNode) -> None:
    """Ask the anchor who is there, and each of them for its configuration, before anybody asks for a log."""
    with opened_node(node.data) as (_, opened):
        run = Run(opened, now())
        refresh_trust(run)
        with reading(opened.engine) as session:
            others = [other for other in load_participants(session) if other.trust != "own"]
        for other in others:
            refresh_configuration(run, other, Source(run, other, other.participant, Traffic()), ())


def _sync_node(node: DemoNode) -> str:
    """What failed, in words; empty where nothing did."""
    with opened_node(node.data) as (_, opened):
        results = pull(opened)
    return ", ".join(f"{result.participant} {result.result}" for result in results if result.result != "ok")


def _start_helper_process(parent: int) -> None:
    """A helper process ends with the demo, and leaves it to the demo to hear Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent(parent)
