"""A process that leads the scheduled work once: ``python -m tests.faults.leader DATABASE NOW PAUSE``.

It takes the lease at NOW, does the nightly pull of a simulated RS and says what came of it. At ``PAUSE`` (``start``,
or a part of a URL it asks) it says ``paused`` and waits for a line on standard input.
"""

import datetime as dt
import os
import sys

from directory.database import make_engine, writing
from sync.errors import LeaseLostError
from sync.jobs import make_timetable, run_job
from sync.lease import acquire
from sync.node import Node, NodeSettings
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode, named_identity

GROWN = 300


def grown_network() -> tuple[SimulatedNetwork, SimulatedNode]:
    """The same RS in every process."""
    network = SimulatedNetwork()
    origin = network.add("RS")
    origin.grow(GROWN)
    return network, origin


def pause(url: str = "") -> None:
    """Say so, and wait."""
    print("paused", flush=True)
    sys.stdin.readline()


def main(database: str, instant: str, paused_at: str) -> None:
    """Lead once."""
    now = dt.datetime.fromisoformat(instant)
    network, _ = grown_network()
    network.set_time(now)
    own = named_identity("ME")
    node = Node(make_engine(database), lambda: own, network, NodeSettings())
    with writing(node.engine) as session:
        fence = acquire(session, "worker", f"process {os.getpid()}", now)
    if fence is None:
        print("another leads", flush=True)
        return
    if paused_at == "start":
        pause()
    elif paused_at:
        network.faults[paused_at] = pause  # type: ignore[assignment]
    job = next(job for job in make_timetable(node) if job.name == "nightly-pull")
    try:
        print(f"done {run_job(node, job, now, fence)}", flush=True)
    except LeaseLostError:
        print("lost", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
