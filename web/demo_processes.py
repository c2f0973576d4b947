"""The demo's processes: one ``veza serve`` per node, all of them stopped at the end whatever happened."""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from web.demo_plan import DemoNode
from web.errors import WebError
from web.serving import STOP_SECONDS, PortInUseError, check_port_free

HOST = "127.0.0.1"
START_SECONDS = 120.0
_POLL_SECONDS = 0.1


class DemoError(WebError):
    """The demo cannot start or go on; the detail says which node, and where its own words are."""

    code = "unreachable"


class DemoProcesses:
    """Every process of a demo; whoever makes one must ``stop`` it, whatever happens."""

    def __init__(self) -> None:
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, node: DemoNode) -> None:
        """Serve a node; what it says goes to ``serve.log`` in its data directory."""
        options = ["--host", HOST, "--port", str(node.port), "--workers", "1", "--parent", str(os.getpid())]
        command = [sys.executable, "-m", "web.cli", "--data", str(node.data), "serve", *options]
        with (node.data / "serve.log").open("ab") as log:
            # a session of its own: a terminal's Ctrl-C reaches the demo alone, which then stops every group in order
            process = subprocess.Popen(  # noqa: S603  # our own program
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.adopt(node.participant, process)

    def adopt(self, participant: str, process: subprocess.Popen[bytes]) -> None:
        """Look after a process that leads a process group of its own."""
        self._processes[participant] = process

    def wait_until_healthy(self, nodes: Sequence[DemoNode]) -> None:
        """Return once every node answers; DemoError for one that ended or does not answer in time."""
        deadline = time.monotonic() + START_SECONDS
        for node in nodes:
            while not _answers(node):
                if self._processes[node.participant].poll() is not None or time.monotonic() > deadline:
                    raise DemoError(f"{node.participant} does not answer at {node.url}: see {node.data}/serve.log")
                time.sleep(_POLL_SECONDS)

    def ended(self) -> list[str]:
        """The participants whose process ended since the last call; each is named once."""
        gone = [code for code, process in self._processes.items() if process.poll() is not None]
        for code in gone:
            self._kill_group(self._processes.pop(code))
        return gone

    def stop(self) -> None:
        """Ask every node to stop, wait, and kill what is left of their process groups."""
        for process in self._processes.values():
            process.terminate()
        deadline = time.monotonic() + 2 * STOP_SECONDS
        for process in self._processes.values():
            try:
                process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            self._kill_group(process)
        self._processes.clear()

    @staticmethod
    def _kill_group(process: subprocess.Popen[bytes]) -> None:
        try:
            os.killpg(process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return  # nothing is left of it: the usual case


def check_ports(nodes: Sequence[DemoNode]) -> None:
    """PortInUseError with every port that somebody else listens at."""
    taken = [str(node.port) for node in nodes if not _is_free(node.port)]
    if taken:
        raise PortInUseError(f"in use on this machine: port {', '.join(taken)}; choose another --base-port")


def _is_free(port: int) -> bool:
    try:
        check_port_free(HOST, port)
    except PortInUseError:
        return False
    return True


def _answers(node: DemoNode) -> bool:
    connection = http.client.HTTPConnection(HOST, node.port, timeout=5)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
