"""Two small operations that are broken everywhere, a publication and a sync, and what must hold after each break."""

import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import sqlalchemy as sa

from directory.database import make_engine, reading, writing
from directory.store import load_records
from federation.keys import key_set
from federation.log import compute_frontier, load_head
from federation.participants import bind_participant
from federation.verification import verify_logs
from tests.faults.injection import Outcome
from tests.records import make_document, make_unit
from tests.simulators.node_simulator import SimulatedNode
from web.cli import main
from web.cli.init import create_node

EXITED_WELL = 0
NAMED_FAILURE = 1
FILES = ("veza.db", "veza.db-journal", "veza.db-wal")


@dataclass(frozen=True, slots=True)
class State:
    """A log as it is held: its size and root, and how many records it shows."""

    size: int
    root: bytes
    records: int


class Scenario(Protocol):
    """An operation on a node's data directory."""

    participant: str

    def prepare(self, folder: Path) -> Path: ...

    def commands(self, data: Path) -> list[list[str]]: ...


class Publication:
    """``veza import`` of a document that changes some records of a node that has published before."""

    participant = "ME"

    def __init__(self, folder: Path) -> None:
        self._template = folder / "template"
        create_node(self._template, {"participant": "ME", "url": "http://127.0.0.1:2009", "insecure_urls": True})
        first, self._second = folder / "first.json", folder / "second.json"
        document = make_document()
        first.write_text(json.dumps(document), encoding="utf-8")
        units = [*document["units"], *({"id": f"desk-{number}", **make_unit()} for number in range(12))]
        self._second.write_text(json.dumps(document | {"units": units}), encoding="utf-8")
        assert main(["--data", str(self._template), "import", str(first)]) == 0

    def prepare(self, folder: Path) -> Path:
        """A copy of the node in ``folder``."""
        return copied(self._template, folder)

    def commands(self, data: Path) -> list[list[str]]:
        """What is broken."""
        return [["--data", str(data), "import", str(self._second)]]


class Sync:
    """``veza sync`` of a log that has grown by two pages since the last one."""

    participant = "RS"

    def __init__(self, folder: Path, origin: SimulatedNode) -> None:
        self._template = folder / "template"
        create_node(self._template, {"participant": "ME", "url": "http://127.0.0.1:2009", "insecure_urls": True})
        assert origin.identity.federation_key is not None
        engine = make_engine(f"sqlite:///{self._template / 'veza.db'}")
        with writing(engine) as session:
            bind_participant(session, "RS", origin.entity_id, "peering", key_set(origin.identity.federation_key))
        engine.dispose()
        origin.grow(250)
        assert main(["--data", str(self._template), "sync", "RS"]) == 0
        origin.grow(11)
        origin.publish("member/m-3")

    def prepare(self, folder: Path) -> Path:
        """A copy of the node in ``folder``."""
        return copied(self._template, folder)

    def commands(self, data: Path) -> list[list[str]]:
        """What is broken."""
        return [["--data", str(data), "sync", "RS"]]


def copied(template: Path, folder: Path) -> Path:
    """A fresh copy of a data directory."""
    data = folder / "node"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(template, data)
    return data


def watched(data: Path) -> list[Path]:
    """The files whose writes are broken."""
    return [data / name for name in FILES]


def read_state(data: Path, participant: str) -> State:
    """What stands on disk, read as any process of the node reads it."""
    engine = make_engine(f"sqlite:///{data / 'veza.db'}")
    try:
        with reading(engine) as session:
            head = load_head(session, participant)
            assert head is not None
            return State(head.size, head.root, len(load_records(session, participant)))
    finally:
        engine.dispose()


def check_state(data: Path, participant: str, before: State, outcome: Outcome, grown_by: int) -> State:
    """State before or after, nothing between; what was acknowledged is there; one tree; everything verifies."""
    found = read_state(data, participant)
    assert found.size in {before.size, before.size + grown_by}, found
    if found.size == before.size:
        assert found == before
        assert outcome.acks == 0, "acknowledged, and yet not there"
    engine = make_engine(f"sqlite:///{data / 'veza.db'}")
    try:
        check_one_tree(engine, participant, [before])
    finally:
        engine.dispose()
    return found


def check_one_tree(engine: sa.Engine, participant: str, known: Sequence[State]) -> None:
    """Every state that was ever known is a prefix of the one that stands, and every byte verifies."""
    with reading(engine) as session:
        for state in known:
            assert compute_frontier(session, participant, state.size).root() == state.root
        assert list(verify_logs(session)) == []


def check_failure(outcome: Outcome) -> None:
    """A command that was not killed failed with one line that names a code, or it did its work."""
    if outcome.status == EXITED_WELL:
        return
    assert outcome.status == NAMED_FAILURE, outcome.error
    last = outcome.error.strip().splitlines()[-1]
    assert last.startswith(("veza: busy: ", "veza: storage_full: ")), outcome.error
    assert "Traceback" not in outcome.error, outcome.error


def run_again(data: Path, commands: Sequence[Sequence[str]]) -> None:
    """The next operation works, with no other step."""
    for command in commands:
        assert main(command) == EXITED_WELL
    assert main(["--data", str(data), "verify"]) == EXITED_WELL
