"""Ports, children that end with their parent, and a worker that is replaced."""

import os
import signal
import socket
import subprocess
import sys
import textwrap
import time

import pytest

from web.serving import PortInUseError, ServeOptions, WorkerProcess, _look_after, check_port_free, serve_node

PROGRAM = """
import os, sys, time
from web.serving import end_with_parent
end_with_parent(int(sys.argv[1]))
print("ready", flush=True)
time.sleep(60)
"""


def wait_for(check, seconds=20.0):
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def listening():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        yield taken.getsockname()[1]


def test_a_free_port_is_free():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    check_port_free("127.0.0.1", port)


def test_a_port_in_use_is_named_with_what_to_do(listening):
    with pytest.raises(PortInUseError, match=f"127.0.0.1:{listening} .*--port") as caught:
        check_port_free("127.0.0.1", listening)
    assert caught.value.code == "conflict"


@pytest.mark.parametrize("host", ["192.0.2.1", "2001:db8::1"])
def test_an_address_of_another_machine_cannot_be_served(host):
    with pytest.raises(PortInUseError):
        check_port_free(host, 8100)


def test_a_port_is_checked_before_anything_starts(listening, tmp_path):
    said = []
    with pytest.raises(PortInUseError):
        serve_node(ServeOptions(tmp_path, "127.0.0.1", listening), lambda: said.append("served"))
    assert said == [], "what cannot be served is not announced"


def test_a_process_ends_when_its_parent_is_another():
    with subprocess.Popen([sys.executable, "-c", PROGRAM, "1"], stdout=subprocess.PIPE) as child:
        assert child.wait(30) == -signal.SIGTERM


def test_a_process_lives_as_long_as_its_parent():
    command = [sys.executable, "-c", PROGRAM, str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as child:
        assert child.stdout.readline() == b"ready\n"
        time.sleep(1.2)  # longer than it takes to notice
        assert child.poll() is None
        child.kill()


def script(tmp_path, body):
    path = tmp_path / "child.py"
    path.write_text(textwrap.dedent(body))
    return [sys.executable, str(path), str(tmp_path)]


MARKED = """
    import pathlib, sys, time, os
    (pathlib.Path(sys.argv[1]) / str(os.getpid())).touch()
"""


def marks(tmp_path):
    return [path for path in tmp_path.iterdir() if path.name.isdigit()]


def test_a_child_that_dies_is_replaced_until_it_is_stopped(tmp_path):
    worker = WorkerProcess(script(tmp_path, MARKED + "    time.sleep(60)\n"))
    worker.start()
    wait_for(lambda: len(marks(tmp_path)) == 1)
    (first,) = marks(tmp_path)
    os.kill(int(first.name), signal.SIGKILL)
    wait_for(lambda: len(marks(tmp_path)) == 2)
    worker.stop()
    for mark in marks(tmp_path):
        with pytest.raises(ProcessLookupError):
            os.kill(int(mark.name), 0)
    time.sleep(0.2)
    assert len(marks(tmp_path)) == 2


def test_stopping_what_never_started_is_no_error(tmp_path):
    WorkerProcess(script(tmp_path, MARKED)).stop()


def test_a_child_that_does_not_listen_is_killed(tmp_path):
    deaf = "    import signal\n    signal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    worker = WorkerProcess(script(tmp_path, deaf + MARKED + "    time.sleep(60)\n"), patience=0.3)
    worker.start()
    wait_for(lambda: marks(tmp_path))
    worker.stop()
    with pytest.raises(ProcessLookupError):
        os.kill(int(marks(tmp_path)[0].name), 0)


class Watch:
    """Fails at first in each of these ways, then finds that the node runs elsewhere too."""

    def __init__(self, *faults):
        self.faults = list(faults)
        self.elsewhere = None

    def tick(self):
        if self.faults:
            raise self.faults.pop()
        self.elsewhere = "a copy answers"


def test_the_watch_outlives_what_a_process_runs_out_of():
    parent = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        _look_after(Watch(MemoryError(), RuntimeError("can't start new thread"), OSError()), parent.pid)
        assert parent.wait(timeout=20) == -signal.SIGTERM
    finally:
        parent.kill()
