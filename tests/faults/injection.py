"""Breaking a process at a chosen system call: ``strace`` attached to a child that waits for it.

A *point* is the ``number``-th call of one kind (from 1) that touches one of the watched files. Where the machine does
not permit tracing (``can_trace``), the points are the statements and commits of the program's own database layer.
"""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.waiting import eventually

WRITING = ("write", "pwrite64", "fsync", "fdatasync", "ftruncate", "unlink", "rename")
STATEMENTS = ("before_cursor_execute", "commit")
FAULTS = ("KILL", "EIO", "ENOSPC")
ROOT = Path(__file__).parents[2]
_CALL = re.compile(r"^\d+ +(?:[\d.]+ )?(\w+)\(")


@dataclass(frozen=True, slots=True)
class Point:
    """Where a process is broken, and how: ``KILL`` or the name of an error."""

    call: str
    number: int
    fault: str

    def __str__(self) -> str:
        return f"{self.fault} at {self.call} {self.number}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an experiment ended."""

    status: int
    """The exit status, or minus the signal."""
    acks: int
    """How many commands said that they succeeded."""
    error: str
    """Standard error."""


class Laboratory:
    """Runs commands in children of a process that has the program loaded."""

    def __init__(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.zygote"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment,
        )  # fmt: skip
        assert self._answer() == {"ready": True}

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()

    def run(
        self, folder: Path, commands: Sequence[Sequence[str]], point: Point | None = None, watched: Sequence[Path] = ()
    ) -> Outcome:
        """Run the commands, broken at ``point`` where there is one."""
        if point is None:
            return self._run(folder, commands)
        if point.call in STATEMENTS:
            at = {"event": point.call, "number": point.number, "error": point.fault}
            return self._run(folder, commands, at=at)
        fault = "signal=SIGKILL" if point.fault == "KILL" else f"error={point.fault}"
        return self._run(folder, commands, [*_paths(watched), "-e", f"trace={point.call}",
                                            "-e", f"inject={point.call}:{fault}:when={point.number}"])  # fmt: skip

    def count(self, folder: Path, commands: Sequence[Sequence[str]], watched: Sequence[Path]) -> Counter[str]:
        """How many calls of each kind touch the watched files while the commands run well."""
        lines = self.trace(folder, commands, [*_paths(watched), "-e", f"trace={','.join(WRITING)}"])
        return Counter(match[1] for line in lines if (match := _CALL.match(line)))

    def trace(self, folder: Path, commands: Sequence[Sequence[str]], options: Sequence[str]) -> list[str]:
        """The lines that strace writes while the commands run well."""
        outcome = self._run(folder, commands, options)
        assert (outcome.status, outcome.acks) == (0, len(commands)), outcome.error
        return (folder / "strace").read_text(encoding="utf-8", errors="replace").splitlines()

    def _run(
        self,
        folder: Path,
        commands: Sequence[Sequence[str]],
        options: Sequence[str] | None = None,
        at: dict[str, object] | None = None,
    ) -> Outcome:
        order = {"commands": commands, "folder": str(folder), "traced": options is not None, "at": at}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        pid = self._answer()["pid"]
        if options is None:
            status = self._answer()["status"]
        else:
            with _traced(folder, pid, options):
                status = self._answer()["status"]
        acks = folder / "acks"
        said = acks.read_text().count("\n") if acks.exists() else 0
        return Outcome(status, said, (folder / "err").read_text())

    def _answer(self) -> dict[str, int]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the process that runs the experiments has ended"
        return dict(json.loads(line))


def _paths(watched: Sequence[Path]) -> list[str]:
    return [option for path in watched for option in ("-P", str(path))]


@contextmanager
def _traced(folder: Path, pid: int, options: Sequence[str]) -> Iterator[None]:
    eventually(lambda: _state(pid) == "T", pause=0.002)
    command = ["strace", "-f", "-o", str(folder / "strace"), *options, "-p", str(pid)]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as tracer:
        eventually(lambda: _tracer(pid) == tracer.pid or tracer.poll() is not None, pause=0.002)
        assert tracer.poll() is None, "strace cannot be attached here"
        os.kill(pid, signal.SIGCONT)
        yield
        tracer.wait(30)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


def _tracer(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("TracerPid:")[2].split(maxsplit=1)[0])


@cache
def can_trace() -> bool:
    """Whether strace may be attached to a process here."""
    if shutil.which("strace") is None:
        return False
    asked = subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False)
    return asked.returncode == 0
