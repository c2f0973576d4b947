"""F06: the power goes: whatever was not made durable by ``fsync`` is lost, kept, or kept in part.

The writes of three publications are recorded with strace and replayed on a model of a disk; where tracing is not
permitted the same states are made from copies of the files after each commit. What was acknowledged must be there.
"""

import json
import random
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from directory.database import make_engine
from tests.faults.injection import Laboratory, can_trace
from tests.faults.scenarios import FILES, Publication, State, check_one_tree, read_state, run_again
from tests.records import make_document, make_unit

POINTS = 20
STEPS = 3
GROWN = 2
_LINE = re.compile(r'^\d+ +(\w+)\((?:\d+<([^>]*)>)?(?:, )?(?:"((?:\\x..)*)", (\d+))?(?:, )?(\d+)?\) += (\d+)')


@dataclass
class Disk:
    """Files as programs see them, and as they would be found after the power was lost."""

    seen: dict[str, bytearray] = field(default_factory=dict)
    durable: dict[str, bytes] = field(default_factory=dict)
    pending: list[tuple[str, int, bytes | None]] = field(default_factory=list)
    """Writes since the last ``fsync`` of their file: name, place, bytes; None cuts the file there."""

    def load(self, data: Path) -> None:
        for name in FILES:
            if (data / name).exists():
                self.durable[name] = (data / name).read_bytes()
                self.seen[name] = bytearray(self.durable[name])

    def write(self, name: str, place: int, content: bytes | None) -> None:
        _apply(self.seen.setdefault(name, bytearray()), place, content)
        self.pending.append((name, place, content))

    def sync(self, name: str) -> None:
        self.durable[name] = bytes(self.seen.setdefault(name, bytearray()))
        self.pending = [change for change in self.pending if change[0] != name]

    def after_power_loss(self, kept: str, chance: random.Random) -> dict[str, bytes]:
        """What is found: ``nothing``, ``all`` or ``some`` of what was not durable."""
        found = {name: bytearray(content) for name, content in self.durable.items()}
        for name, place, content in self.pending:
            if kept == "all" or (kept == "some" and chance.random() < 0.5):
                _apply(found.setdefault(name, bytearray()), place, content)
        return {name: bytes(content) for name, content in found.items()}


def _apply(file: bytearray, place: int, content: bytes | None) -> None:
    if content is None:
        del file[place:]
        return
    file.extend(bytes(max(place - len(file), 0)))
    file[place : place + len(content)] = content


@dataclass(frozen=True)
class Recorded:
    """What a run of the publications did to the disk, and where it ended."""

    template: Path
    events: list[tuple[str, str, int, bytes | None]]
    """Kind (``write``, ``sync``, ``ack``), file name, place, bytes."""
    before: State
    states: list[State]
    """After each publication."""


@pytest.fixture(scope="module")
def recorded(lab: Laboratory, publication: Publication, tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    folder = tmp_path_factory.mktemp("recorded")
    template = folder / "template"
    data = publication.prepare(folder)
    shutil.copytree(data, template)
    before = read_state(data, "ME")
    commands = list(_commands(folder, data))
    if can_trace():
        watched = [option for name in (*FILES, "../acks") for option in ("-P", str((data / name).resolve()))]
        calls = "trace=write,pwrite64,ftruncate,fsync,fdatasync,unlink,rename"
        events = list(_events(lab.trace(folder, commands, ["-y", "-xx", "-s", "100000", *watched, "-e", calls])))
        states = []
    else:
        events, states = [], []
    for number in range(STEPS):
        if not can_trace():
            assert lab.run(folder, [commands[number]]).status == 0
            events += _commit_of(data)
        states.append(State(before.size + GROWN * (number + 1), b"", 0))
    final = read_state(data, "ME")
    assert final.size == before.size + GROWN * STEPS
    return Recorded(template, events, before, [*states[:-1], final])


def _commands(folder: Path, data: Path) -> Iterator[list[str]]:
    document = make_document()
    units = list(document["units"])
    for number in range(STEPS):
        units += [{"id": f"late-{number}-{place}", **make_unit()} for place in range(GROWN)]
        path = folder / f"step-{number}.json"
        path.write_text(json.dumps(document | {"units": units}), encoding="utf-8")
        yield ["--data", str(data), "import", str(path)]


def _events(lines: list[str]) -> Iterator[tuple[str, str, int, bytes | None]]:
    for line in lines:
        match = _LINE.match(line)
        if match is None:
            continue
        call, path, content, _, place, done = match.groups()
        name = Path(_decoded(path or "").decode()).name
        if call in ("fsync", "fdatasync"):
            yield "sync", name, 0, None
        elif call == "write" and name == "acks":
            yield "ack", name, 0, None
        elif call == "ftruncate":
            yield "write", name, int(place), None
        elif call == "pwrite64":
            yield "write", name, int(place), _decoded(content)[: int(done)]
        else:
            raise AssertionError(f"the model knows no {line[:200]}")


def _decoded(text: str) -> bytes:
    return bytes.fromhex(text.replace("\\x", ""))


def _commit_of(data: Path) -> list[tuple[str, str, int, bytes | None]]:
    """A whole commit as one durable change, where nothing finer can be seen."""
    content = (data / "veza.db").read_bytes()
    return [("write", "veza.db", 0, content), ("sync", "veza.db", 0, None), ("ack", "acks", 0, None)]


@pytest.mark.parametrize("kept", ["nothing", "all", "some"])
def test_f06_what_was_acknowledged_survives_the_loss_of_power(recorded: Recorded, tmp_path: Path, kept: str) -> None:
    disk, chance, acks, tried = Disk(), random.Random(kept), 0, 0
    disk.load(recorded.template)
    stride = max(len(recorded.events) // POINTS, 1)
    for number, (kind, name, place, content) in enumerate(recorded.events):
        if kind == "write":
            disk.write(name, place, content)
        elif kind == "sync":
            disk.sync(name)
        else:
            acks += 1
        if kind == "ack" or number % stride == 0:
            check_found(recorded, disk.after_power_loss(kept, chance), acks, tmp_path, again=kind == "ack")
            tried += 1
    assert acks == STEPS
    assert tried >= min(POINTS, len(recorded.events))


def check_found(recorded: Recorded, files: dict[str, bytes], acks: int, folder: Path, *, again: bool) -> None:
    """The node starts on what was found, has everything acknowledged, and goes on."""
    data = folder / "node"
    shutil.rmtree(data, ignore_errors=True)
    shutil.copytree(recorded.template, data)
    for name, content in files.items():
        (data / name).write_bytes(content)
    found = read_state(data, "ME")
    sizes = [recorded.before.size, *(state.size for state in recorded.states)]
    assert found.size in sizes[acks:], "acknowledged, and lost"
    engine = make_engine(f"sqlite:///{data / 'veza.db'}")
    check_one_tree(engine, "ME", [recorded.before])
    engine.dispose()
    if found.size == sizes[-1]:
        assert found == recorded.states[-1], "another tree of the same size"
    if again:
        run_again(data, [["--data", str(data), "export", "ME", "--format", "json"]])
