"""Every write of a publication and of a sync, broken in turn: killed there, or answered with an error (F01, F02).

``python -m tests.faults.sweep`` tries every point and prints the figures; the tests try one in ``STRIDE``, and every
call that makes something durable.
"""

import contextlib
import io
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.faults.injection import FAULTS, STATEMENTS, Laboratory, Point, can_trace
from tests.faults.scenarios import (
    Publication,
    Scenario,
    State,
    Sync,
    check_failure,
    check_state,
    read_state,
    run_again,
    watched,
)
from tests.simulators.served_network import ServedNode

STRIDE = 13
AGAIN_EVERY = 8
"""After so many points one is followed by the next operation; a full sweep does it after each."""


@dataclass(slots=True)
class Figures:
    """What a sweep tried, and what stood afterwards."""

    tried: int = 0
    before: int = 0
    after: int = 0
    not_met: int = 0
    """Points that the operation did not come to; it ended well."""


def count_points(lab: Laboratory, scenario: Scenario, folder: Path, *, traced: bool) -> Counter[str]:
    """How many points the operation has, by kind of call."""
    data = scenario.prepare(folder)
    if traced:
        return lab.count(folder, scenario.commands(data), watched(data))
    return Counter({name: _count_statements(lab, scenario, folder, name) for name in STATEMENTS})


def _count_statements(lab: Laboratory, scenario: Scenario, folder: Path, event: str) -> int:
    data = scenario.prepare(folder)
    assert lab.run(folder, scenario.commands(data), Point(event, 0, "KILL")).status == 0
    return -int(json.loads((folder / "left").read_text())[0])


def choose_points(counted: Counter[str], fault: str, stride: int) -> Iterator[Point]:
    """One in ``stride`` of the calls that only write, every one of the others."""
    for call, number in sorted(counted.items()):
        step = stride if call in ("pwrite64", "write", "before_cursor_execute") else 1
        yield from (Point(call, place, fault) for place in range(1, number + 1, step))


def sweep(lab: Laboratory, scenario: Scenario, folder: Path, points: Iterable[Point], again_every: int) -> Figures:
    """Break the operation at each point and check what must hold; AssertionError names the point."""
    figures = Figures()
    before, grown_by = _ends(lab, scenario, folder)
    for point in points:
        data = scenario.prepare(folder)
        outcome = lab.run(folder, scenario.commands(data), point, watched(data))
        figures.tried += 1
        try:
            if point.fault != "KILL":
                check_failure(outcome)
            found = check_state(data, scenario.participant, before, outcome, grown_by)
            if figures.tried % again_every == 0:
                run_again(data, scenario.commands(data))
                assert read_state(data, scenario.participant).size == before.size + grown_by
        except AssertionError as error:
            raise AssertionError(f"{point}: {outcome}: {error}") from error
        figures.not_met += outcome.status == 0
        if found.size == before.size:
            figures.before += 1
        else:
            figures.after += 1
    return figures


def _ends(lab: Laboratory, scenario: Scenario, folder: Path) -> tuple[State, int]:
    """The state before the operation, and how much the log grows by it."""
    data = scenario.prepare(folder)
    before = read_state(data, scenario.participant)
    assert lab.run(folder, scenario.commands(data)).status == 0
    return before, read_state(data, scenario.participant).size - before.size


def main() -> None:
    """The full sweep, with figures."""
    lab, traced = Laboratory(), can_trace()
    print("points are", "system calls (strace)" if traced else "statements and commits (tracing is not permitted)")
    with tempfile.TemporaryDirectory() as name, ServedNode("RS") as origin:
        folders = {kind: Path(name) / kind for kind in ("publication", "sync", "work")}
        for folder in folders.values():
            folder.mkdir()
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
            scenarios = {
                "publication": Publication(folders["publication"]),
                "sync": Sync(folders["sync"], origin.node),
            }
        for kind, scenario in scenarios.items():
            counted = count_points(lab, scenario, folders["work"], traced=traced)
            print(kind, dict(counted))
            for fault in FAULTS:
                started = time.monotonic()
                with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                    figures = sweep(lab, scenario, folders["work"], choose_points(counted, fault, 1), 1)
                print(f"  {fault}: {figures} in {time.monotonic() - started:.0f} s")
                sys.stdout.flush()
    lab.close()


if __name__ == "__main__":
    main()
