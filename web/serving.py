"""``veza serve``: the web server, with the node's worker beside it.

Three kinds of processes, each ending with its parent, so that nothing is left behind whichever of them is killed:

    veza serve ── web worker(s)        granian, which replaces one that died
              └── veza worker          scheduled work; replaced here, with growing pauses

A signal (SIGTERM, SIGINT) goes to ``veza serve`` alone, which lets the web workers finish and then stops the worker.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from flask import Flask
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from web.app import create_app
from web.config import load_config
from web.errors import WebError
from web.logs import configure_logs

STOP_SECONDS = 10.0
"""How long a stopping process may take before it is killed."""
PARENT_POLL_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
SETTLED_SECONDS = 60.0
"""A worker that lived this long and dies is replaced as quickly as the first time."""


class PortInUseError(WebError):
    """Somebody else listens at the address that this node should serve; the operator must choose."""

    code = "conflict"


@dataclass(frozen=True, slots=True)
class ServeOptions:
    """How to serve the node in ``data``."""

    data: Path
    host: str
    port: int
    workers: int = 1
    threads: int = 2
    """Threads per web worker; more of them only wait for each other."""
    with_worker: bool = True


def serve_node(options: ServeOptions, say: Callable[[], None] = lambda: None) -> None:
    """Serve until a signal comes; ``say`` is called once the address is known to be free, else PortInUseError."""
    check_port_free(options.host, options.port)
    say()
    server = Granian(
        "wsgi:app",
        address=options.host,
        port=options.port,
        interface=Interfaces.WSGI,
        workers=options.workers,
        blocking_threads=options.threads,
        http=HTTPModes.http1,
        websockets=False,
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        workers_kill_timeout=int(STOP_SECONDS),
    )
    child = WorkerProcess(_worker_command(options.data)) if options.with_worker else None
    if child is not None:
        server.on_startup(child.start)  # by then granian has its signal handlers: none can be lost
    try:
        server.serve(target_loader=partial(_load_app, options.data, os.getpid()), wrap_loader=False)
    finally:
        if child is not None:
            child.stop()


def check_port_free(host: str, port: int) -> None:
    """PortInUseError where something listens at ``host:port``; granian itself would quietly share it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortInUseError(
                f"{host}:{port} cannot be served ({error.strerror}): stop what listens there, or choose another --port"
            ) from error


def end_with_parent(parent: int) -> None:
    """Ask this process to stop (SIGTERM) once ``parent`` is no longer its parent."""
    threading.Thread(target=_watch_parent, args=(parent,), name="parent-watch", daemon=True).start()


class WorkerProcess:
    """A child (``veza worker``) that is replaced when it dies; ``patience`` is how long it may take to stop (s)."""

    def __init__(self, command: Sequence[str], patience: float = STOP_SECONDS) -> None:
        self._command = list(command)
        self._patience = patience
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._supervise, name="worker-supervisor", daemon=True)

    def start(self) -> None:
        """Start the child and watch over it."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the child and wait for its end; one that does not end in time is killed."""
        self._stopping.set()
        if not self._thread.is_alive():
            return
        if self._process is not None:
            self._process.terminate()
        self._thread.join(self._patience)
        if self._thread.is_alive() and self._process is not None:
            self._process.kill()
            self._thread.join()

    def _supervise(self) -> None:
        pause = 1.0
        while not self._stopping.is_set():
            started = time.monotonic()
            self._process = subprocess.Popen(self._command)  # noqa: S603  # our own program
            if self._stopping.is_set():  # stop() came between the loop's test and the start
                self._process.terminate()
            self._process.wait()
            pause = 1.0 if time.monotonic() - started > SETTLED_SECONDS else min(2 * pause, LONGEST_PAUSE_SECONDS)
            self._stopping.wait(pause)


def _worker_command(data: Path) -> list[str]:
    return [sys.executable, "-m", "web.cli", "--data", str(data), "worker", "--parent", str(os.getpid())]


def _load_app(data: Path, parent: int) -> Flask:
    """The application of one web worker, made in that process."""
    # a terminal's Ctrl-C reaches every process at once; a web worker that also heard it would miss its orderly stop
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    end_with_parent(parent)
    configure_logs()
    return create_app(load_config(data))


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
