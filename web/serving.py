"""``veza serve``: the web server, with the node's worker beside it.

Three kinds of processes, each ending with its parent, so that nothing is left behind whichever of them is killed:

    veza serve ── web worker(s)        granian, which replaces one that died
              └── veza worker          scheduled work; replaced here, with growing pauses

A signal (SIGTERM, SIGINT) goes to ``veza serve`` alone, which lets the web workers finish and then stops the worker.

Each web worker looks after the node in a thread (``sync.node_watch``): so the own log is compared with the peers' while
the node answers already, and two nodes that start together can answer each other. Where the node is found to run
elsewhere too, that thread stops ``veza serve``, which ends with ElsewhereError.
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
from typing import Any, TypeVar

import sqlalchemy as sa
import structlog
from flask import Flask, request
from granian import Granian
from granian.constants import HTTPModes, Interfaces
from granian.log import LogLevels

from directory.database import make_engine, reading
from federation.errors import FederationError
from federation.own_node import OwnNode, load_own_node
from sync.clock_watch import utc_now
from sync.errors import ElsewhereError, SyncError
from sync.node import Node
from sync.node_watch import LOOK_SECONDS, NodeWatch
from sync.processes import begin_process, end_process
from web.app import LARGEST_BODY, create_app
from web.config import Config, load_config
from web.errors import WebError
from web.gateway import Gateway
from web.headers import SAFE_METHODS
from web.held import EXTENSION
from web.logs import configure_logs

R = TypeVar("R")

SERVE = "serve"
STOP_SECONDS = 10.0
"""How long a stopping process may take before it is killed."""
PARENT_POLL_SECONDS = 1.0
LONGEST_PAUSE_SECONDS = 30.0
SETTLED_SECONDS = 60.0
"""A worker that lived this long and dies is replaced as quickly as the first time."""
_PASSING = (FederationError, SyncError, sa.exc.SQLAlchemyError, OSError, MemoryError, RuntimeError)
"""What passes, a thread that cannot be started among it: a watch that ended would leave the own log held back."""
_log = structlog.get_logger("veza.serving")


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
    """Requests that a web worker answers at once; more of them only wait for each other."""
    with_worker: bool = True


def serve_node(options: ServeOptions, say: Callable[[], None] = lambda: None) -> None:
    """Serve until a signal comes; ``say`` is called once the address is known to be free, else PortInUseError.

    Raises ElsewhereError where the node runs elsewhere too.
    """
    check_port_free(options.host, options.port)
    config = load_config(options.data)
    name = _with_database(config, lambda engine: begin_process(engine, SERVE, utc_now()))
    say()
    try:
        _serve(options, name)
        own = _with_database(config, _load_own_node)
    finally:
        _with_database(config, lambda engine: end_process(engine, name))
    if own.held_back == "elsewhere":
        raise ElsewhereError(f"{config.url} is answered from another database than this one")


def _with_database(config: Config, work: Callable[[sa.Engine], R]) -> R:
    """Do something with a database that is closed at the end: web workers are forked from this process."""
    engine = make_engine(config.database)
    try:
        return work(engine)
    finally:
        engine.dispose()


def _load_own_node(engine: sa.Engine) -> OwnNode:
    with reading(engine) as session:
        return load_own_node(session)


def _serve(options: ServeOptions, process: str) -> None:
    """Granian with its web workers, and the worker beside it, until a signal comes."""
    server = Granian(
        "wsgi:app",
        address=options.host,
        port=options.port,
        interface=Interfaces.RSGI,
        workers=options.workers,
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
        server.serve(target_loader=partial(_load_app, options, os.getpid(), process), wrap_loader=False)
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


def _load_app(options: ServeOptions, parent: int, process: str) -> Callable[..., Any]:
    """The application of one web worker, made in that process."""
    # a terminal's Ctrl-C reaches every process at once; a web worker that also heard it would miss its orderly stop
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    end_with_parent(parent)
    configure_logs()
    app = create_app(load_config(options.data))
    node: Node = app.extensions[EXTENSION].node
    watch = NodeWatch(node, process, SERVE, active=not options.with_worker)
    threading.Thread(target=_look_after, args=(watch, parent), name="node-watch", daemon=True).start()
    _judge_clock_before_changes(app, watch)
    return Gateway(app, turns=options.threads, longest=LARGEST_BODY).answer


def _look_after(watch: NodeWatch, parent: int) -> None:
    """The node's watch in a web worker; it asks ``veza serve`` to stop where the node runs elsewhere too."""
    while watch.elsewhere is None:
        try:
            watch.tick()
        except _PASSING as error:
            _log.warning("watch_failed", reason=repr(error))
        time.sleep(LOOK_SECONDS)
    _log.error("elsewhere", reason=watch.elsewhere)
    os.kill(parent, signal.SIGTERM)


def _judge_clock_before_changes(app: Flask, watch: NodeWatch) -> None:
    """A machine that was resumed a moment ago must not sign before its clock was judged."""

    @app.before_request
    def judge_clock() -> None:
        """Look at the clock, where the request may lead to a signature."""
        if request.method not in SAFE_METHODS:
            watch.look_before_signing()


def _watch_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(PARENT_POLL_SECONDS)
    os.kill(os.getpid(), signal.SIGTERM)
