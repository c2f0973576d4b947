"""``veza demo``: one line when all is ready, everything stopped at the end, and going on where it was."""

import json
import os
import select
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.flows.federation import FlowNode
from tests.ports import free_ports_in_a_row
from tests.waiting import eventually

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flows")]

READY_SECONDS = 120.0


class Demo:
    """A running demo of two nodes."""

    def __init__(self, directory: Path, base_port: int) -> None:
        options = ["--dir", str(directory), "--nodes", "2", "--base-port", str(base_port), "--json"]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "web.cli", "demo", *options],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip

    def ready(self) -> list[dict[str, str]]:
        """The line that it prints when all nodes are ready."""
        assert self.process.stdout is not None
        found, _, _ = select.select([self.process.stdout], [], [], READY_SECONDS)
        assert found, "the demo is not ready in time"
        return json.loads(self.process.stdout.readline())

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """Ask it to stop: status, and what else it said."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        return self.process.returncode, out.decode(), err.decode()


def processes_of(directory: Path) -> list[str]:
    """Every process that works below a directory."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes()
        except OSError:
            continue  # it ended meanwhile
        if str(directory).encode() in line:
            found.append(line.replace(b"\0", b" ").decode())
    return found


@pytest.fixture
def demo(tmp_path):
    started = []

    def start(base_port: int) -> Demo:
        started.append(Demo(tmp_path / "demo", base_port))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.end()


def test_a_demo_is_ready_works_stops_goes_on_and_leaves_nothing_when_killed(demo, tmp_path):
    port = free_ports_in_a_row(2)
    first = demo(port)
    nodes = first.ready()
    assert [node["participant"] for node in nodes] == ["ME", "RS"]
    assert [Path(node["data"]) for node in nodes] == [tmp_path / "demo" / code for code in ("ME", "RS")]
    me, rs = (FlowNode(node["participant"], Path(node["data"]), node["url"]) for node in nodes)

    for node, other in ((me, "RS"), (rs, "ME")):
        assert node.held(other)["state"] == "fresh"
        assert node.answer("verify") == []
        assert {account["name"] for account in node.answer("user", "list")} >= {"officer", "duty", "admin"}
    candidates = me.answer("lookup", "--country", "RS", "--urgency", "urgent")["candidates"]
    assert candidates[0]["on_duty"]["name"].startswith("Duty officer")
    me.tokens["admin"] = me.veza("user", "token", "admin")[1].strip()
    me.save("/members/m-7k2p9x4q", {"name": "Duty officer 9", "unit": "me-spoc"})
    size = me.held("ME")["size"]

    assert first.end() == (
        0,
        "",
        "preparing 2 nodes\nstarting them\njoining them under the anchor\nsyncing\nstopping\n",
    )
    assert processes_of(tmp_path / "demo") == []

    again = demo(port)
    assert again.ready() == nodes
    assert me.held("ME")["size"] == size
    eventually(lambda: rs.held("ME")["size"] == size, 40)
    os.kill(again.process.pid, signal.SIGKILL)
    again.process.communicate()
    eventually(lambda: processes_of(tmp_path / "demo") == [], 30)


def test_a_port_in_use_is_named_and_nothing_is_left(demo, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        running = demo(port)
        out, err = running.process.communicate(timeout=60)
    assert (running.process.returncode, out) == (1, b"")
    assert err.decode().splitlines()[-1].startswith(f"veza: conflict: in use on this machine: port {port}")
    assert processes_of(tmp_path / "demo") == []
