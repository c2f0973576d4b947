"""A process that has the whole program in memory and forks a child per experiment, which costs milliseconds.

Reads one JSON object per line from standard input and answers with one per line on standard output:

    {"commands": [[argument, …], …], "folder": …, "traced": bool, "at": {"event", "number", "error"} or null}
    → {"pid": …}, then {"status": exit status, or minus the signal that ended it}

The child runs the ``veza`` commands one after the other. After each that succeeds it writes a line to ``acks`` in the
folder: what it has told somebody. A ``traced`` child stops itself first, so that strace can be attached. ``at`` breaks
a statement or a commit in the program itself, where the machine permits no tracing.
"""

import ctypes
import importlib
import json
import os
import signal
import sqlite3
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from web.cli import COMMANDS, main

_PR_SET_PTRACER = 0x59616D61
_ERRORS = {"EIO": (10, "disk I/O error"), "ENOSPC": (13, "database or disk is full")}


def serve() -> None:
    """Answer one line after the other until standard input ends."""
    for target in COMMANDS.values():
        importlib.import_module(target.partition(":")[0])
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            _experiment(order)
        print(json.dumps({"pid": pid}), flush=True)
        _, status = os.waitpid(pid, 0)
        print(json.dumps({"status": os.waitstatus_to_exitcode(status)}), flush=True)


def _experiment(order: Mapping[str, Any]) -> None:
    folder = Path(order["folder"])
    for name, descriptor in (("out", 1), ("err", 2)):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), descriptor)
    if order["traced"]:
        ctypes.CDLL(None).prctl(_PR_SET_PTRACER, ctypes.c_ulong(-1), 0, 0, 0)
        os.kill(os.getpid(), signal.SIGSTOP)
    left = _break(**order["at"]) if order["at"] else []
    status = _run(folder, order["commands"])
    (folder / "left").write_text(json.dumps(left))
    os._exit(status)


def _run(folder: Path, commands: Sequence[Sequence[str]]) -> int:
    acks = os.open(folder / "acks", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    status = 0
    for number, command in enumerate(commands):
        status = main(command)
        sys.stdout.flush()
        if status:
            break
        os.write(acks, f"{number}\n".encode())
    return status


def _break(event: str, number: int, error: str) -> list[int]:
    """Let the ``number``-th statement or commit (from 1) of the process fail before the database sees it.

    The list counts down from ``number``; from 0 on nothing fails, so it tells how many there were.
    """
    left = [number]

    def count(*arguments: object) -> None:
        left[0] -= 1
        if left[0] != 0:
            return
        if error == "KILL":
            os.kill(os.getpid(), signal.SIGKILL)
        code, words = _ERRORS[error]
        original = sqlite3.OperationalError(words)
        original.sqlite_errorcode = code
        raise sa.exc.OperationalError("as the test wants", None, original)

    sa.event.listen(sa.Engine, event, count)
    return left


if __name__ == "__main__":
    serve()
