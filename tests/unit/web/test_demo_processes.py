"""The demo's processes: ports checked together, failures named, everything stopped."""

import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from web import demo_processes
from web.demo_plan import DemoNode
from web.demo_processes import DemoError, DemoProcesses, check_ports
from web.serving import PortInUseError


def is_running(pid):
    """Whether a process is there and not only waiting for somebody to hear of its end."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] not in "ZX"
    except FileNotFoundError:
        return False


@pytest.fixture
def listening():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


@pytest.fixture
def free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def node(port, data, participant="ME"):
    return DemoNode(participant, 0, f"http://127.0.0.1:{port}", data)


def test_every_port_in_use_is_named_at_once(listening, free, tmp_path):
    with pytest.raises(PortInUseError) as caught:
        check_ports([node(listening, tmp_path), node(free, tmp_path)])
    assert str(listening) in caught.value.detail
    assert str(free) not in caught.value.detail
    check_ports([node(free, tmp_path)])


def test_a_node_that_cannot_be_served_is_named_with_its_log(free, tmp_path):
    processes = DemoProcesses()
    nowhere = node(free, tmp_path)
    processes.start(nowhere)
    with pytest.raises(DemoError, match="ME does not answer") as caught:
        processes.wait_until_healthy([nowhere])
    assert str(tmp_path / "serve.log") in caught.value.detail
    assert "holds no node" in (tmp_path / "serve.log").read_text()
    assert processes.ended() == ["ME"]
    assert processes.ended() == []
    processes.stop()


def test_a_node_that_never_answers_is_given_up(listening, tmp_path, monkeypatch):
    monkeypatch.setattr(demo_processes, "START_SECONDS", 0.0)
    processes = DemoProcesses()
    waiting = node(listening, tmp_path)
    processes.start(waiting)
    with pytest.raises(DemoError):
        processes.wait_until_healthy([waiting])
    processes.stop()


def test_stop_kills_the_whole_group_of_a_process_that_does_not_listen(tmp_path, monkeypatch):
    monkeypatch.setattr(demo_processes, "STOP_SECONDS", 0.2)
    program = (
        "import os, signal, time\n"
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "child = os.fork()\n"
        "child and print(child, flush=True)\n"
        "time.sleep(60)\n"
    )
    processes = DemoProcesses()
    deaf = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, start_new_session=True)
    child = int(deaf.stdout.readline())
    processes.adopt("ME", deaf)
    processes.stop()
    assert deaf.returncode == -signal.SIGKILL
    deaf.stdout.close()
    deadline = time.monotonic() + 20
    while is_running(child):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_stopping_nothing_is_no_error():
    DemoProcesses().stop()
