"""The same pulls over HTTP, from a served node on this machine: what really goes over the wire, headers included.

The origin works on the same two cores, so the times here are not the follower's alone.
"""

import datetime as dt
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from benchmarks.measure import Report, Row
from benchmarks.nodes import admit, found_node, make_identity, publish_units, sqlite_engine, trust
from benchmarks.serving import new_node, served
from federation.identity import Identity
from federation.key_directory import KeyDirectory
from sync.client import HttpTransport
from sync.node import Node, NodeSettings
from sync.pull import PullResult, pull_participant
from sync.transport import Response
from web.config import load_config

FOLLOWER = make_identity("RS")
RECORDS, CHANGES = 20_000, 10_000
KB = 1000


class Counting:
    """The transport between real nodes, which also tells the bytes of the configurations from the others."""

    def __init__(self) -> None:
        self._http = HttpTransport(insecure_urls=True)
        self.configurations = 0
        self.post, self.close = self._http.post, self._http.close

    def get(self, url: str, **options: Any) -> Response:  # noqa: ANN401  # handed on as they come
        response = self._http.get(url, **options)
        if url.endswith("/openid-federation"):
            self.configurations += response.wire_bytes
        return response


def run(report: Report) -> None:
    with tempfile.TemporaryDirectory(prefix="veza-bench-") as name:
        data = Path(name) / "origin"
        base = new_node(data, "ME")
        config = load_config(data)
        identity = KeyDirectory(config.keys_dir, config.participant, config.url).load()
        with sqlite_engine(data / "veza.db") as origin, sqlite_engine(Path(name) / "follower.db") as engine:
            publish_units(origin, identity, range(RECORDS), now=now())
            admit(origin, FOLLOWER, now())
            found_node(engine, FOLLOWER, now())
            trust(engine, identity)
            with served(data, base):
                measure(report, origin, identity, engine)


def measure(report: Report, origin: sa.Engine, identity: Identity, engine: sa.Engine) -> None:
    transport = Counting()
    node = Node(engine, lambda: FOLLOWER, transport, NodeSettings(insecure_urls=True))
    add(report, f"first sync of {RECORDS:,} over HTTP", [pull(node)], "", None)
    add(report, f"{CHANGES:,} changes over HTTP", changed(node, origin, identity, CHANGES, 1), "", None)
    rounds = 5 if report.quick else 15
    add(report, "10 changes over HTTP", changed(node, origin, identity, 10, rounds), "≤ 8 kB", 8 * KB)
    add(report, "nothing changed, over HTTP", [pull(node) for _ in range(rounds)], "≤ 2 kB", 2 * KB)
    transport.close()


@dataclass(frozen=True)
class Pulled:
    """Seconds of a pull, what it brought, and the bytes of both directions, configuration and headers included."""

    elapsed: float
    result: PullResult
    configuration: int
    """Bytes of the configuration alone."""


def changed(node: Node, origin: sa.Engine, identity: Identity, changes: int, rounds: int) -> list[Pulled]:
    """Pulls that each find so many changes."""
    pulled = []
    for version in range(1, rounds + 1):
        numbers = range(version, RECORDS, RECORDS // changes)
        publish_units(origin, identity, numbers, version=100 * changes + version, now=now())
        pulled.append(pull(node))
    return pulled


def pull(node: Node) -> Pulled:
    assert isinstance(node.transport, Counting)
    before, start = node.transport.configurations, time.perf_counter()
    result = pull_participant(node, "ME", now())
    elapsed = time.perf_counter() - start
    if result.result != "ok":
        raise SystemExit(f"the pull failed: {result.result}: {result.detail}")
    return Pulled(elapsed, result, node.transport.configurations - before)


def add(report: Report, name: str, pulls: list[Pulled], goal: str, most: int | None) -> None:
    """The bytes beside the configuration; the time in the note only, as the origin works on the same machine."""
    beside = statistics.median(pulled.configuration for pulled in pulls)
    sent = statistics.median(pulled.result.bytes for pulled in pulls) - beside
    elapsed = statistics.median(pulled.elapsed for pulled in pulls)
    requests = pulls[-1].result.requests - 1
    beside_note = f"{beside / KB:.3g} kB more for the configuration"
    note = f"{requests} request{'s' * (requests > 1)}, {beside_note}; {elapsed:.3g} s in all"
    report.add(Row(name, goal, "kB", sent / KB, met=None if most is None else sent <= most, note=note))


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)
