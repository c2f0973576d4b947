"""Running ``benchmarks.served`` beside the measurement, and making the node that it serves."""

import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from web.cli.init import create_node

START_SECONDS = 120


@contextmanager
def served(data: Path, base: str) -> Iterator[int]:
    """Serve the node in ``data`` at ``base`` until the block ends, by one web process; the number of that process."""
    server = subprocess.Popen([sys.executable, "-m", "benchmarks.served", str(data), base.rpartition(":")[2]])
    try:
        wait_for(f"{base}/constant", server)
        yield web_process(server.pid)
    finally:
        server.terminate()
        server.wait()


def new_node(data: Path, participant: str) -> str:
    """Make a node as ``veza init`` does, for a free port of this machine; its address."""
    base = f"http://127.0.0.1:{free_port()}"
    create_node(data, {"participant": participant, "url": base, "insecure_urls": True})
    return base


def web_process(server: int) -> int:
    """The process that answers: the largest of those that the server started."""
    children = Path(f"/proc/{server}/task/{server}/children").read_text(encoding="ascii").split()
    return max(map(int, children), key=resident_mib)


def resident_mib(process: int) -> float:
    """What a process has in memory now."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def wait_for(url: str, server: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + START_SECONDS
    while time.monotonic() < ends:
        if server.poll() is not None:
            raise SystemExit(f"the node ended with status {server.returncode}")
        try:
            fetch(url)
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise SystemExit(f"the node did not answer within {START_SECONDS} s")


def fetch(url: str, token: str | None = None) -> bytes:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=START_SECONDS) as answer:
        body: bytes = answer.read()
    return body


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
