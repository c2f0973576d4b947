"""F22: a process that has no files or memory left says so with 503 or one line, and goes on when it has."""

import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from directory.database import make_engine, writing
from federation.keys import key_set
from federation.participants import bind_participant
from tests.faults.injection import ROOT, Outcome
from tests.faults.scenarios import Sync, check_state, read_state, run_again
from tests.simulators.node_simulator import named_key
from tests.simulators.raw_server import RawServer
from tests.web.building import ServedNode

UNIT = "/api/v1/units/me-spoc"


@contextmanager
def no_more_files() -> Iterator[None]:
    """Whatever is opened from now on is refused."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_f22_node_without_files_answers_503_and_recovers(node: ServedNode) -> None:
    client = node.client("ana")
    held = client.get(UNIT)
    node.engine.dispose()
    with no_more_files():
        refused = client.put(UNIT, held.json["data"] | {"note": "x"}, If_Match=held.headers["ETag"])
    assert refused.status_code == 503, refused.data
    assert refused.json["type"] == "urn:veza:problem:busy"
    assert "Retry-After" in refused.headers
    saved = client.put(UNIT, held.json["data"] | {"note": "x"}, If_Match=held.headers["ETag"])
    assert saved.status_code == 200


class Exhausted:
    """Publishes in a process that has no memory left."""

    def __call__(self, *arguments: object) -> object:
        raise MemoryError


def test_f22_node_without_memory_answers_503_and_recovers(node: ServedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    client = node.client("ana")
    held = client.get(UNIT)
    monkeypatch.setattr("web.record_changes.publish", Exhausted())
    refused = client.put(UNIT, held.json["data"] | {"note": "x"}, If_Match=held.headers["ETag"])
    assert (refused.status_code, refused.json["type"]) == (503, "urn:veza:problem:busy")
    monkeypatch.undo()
    assert client.put(UNIT, held.json["data"] | {"note": "x"}, If_Match=held.headers["ETag"]).status_code == 200


@pytest.mark.parametrize("limit", ["-n 64", "-n 14", "-v 450000"])
def test_f22_sync_under_limits_and_attack(sync: Sync, folder: Path, limit: str) -> None:
    """T01 beside an honest origin: a body without end."""
    data = sync.prepare(folder)
    before = read_state(data, "RS")
    endless = b"HTTP/1.1 200 OK\r\nContent-Type: application/entity-statement+jwt\r\nTransfer-Encoding: chunked\r\n\r\n"
    with RawServer(lambda server, request: [endless, *([b"10000\r\n" + b"x" * 65536 + b"\r\n"] * 2000)]) as hostile:
        engine = make_engine(f"sqlite:///{data / 'veza.db'}")
        with writing(engine) as session:
            bind_participant(session, "MK", hostile.url, "peering", key_set(named_key("mk")))
        engine.dispose()
        command = f'ulimit {limit} && exec "{sys.executable}" -m web.cli --data "{data}" sync'
        ended = subprocess.run(
            ["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
        )
    last = (ended.stderr.strip().splitlines() or [""])[-1]
    assert ended.returncode == 1, ended.stderr
    assert last.startswith("veza: "), ended.stderr
    assert hostile.sent < 16 << 20
    check_state(data, "RS", before, Outcome(ended.returncode, 0, ended.stderr), 12)
    run_again(data, sync.commands(data))
    assert read_state(data, "RS").size == before.size + 12
