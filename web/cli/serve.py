"""``veza serve`` and ``veza worker``: the node's processes."""

import os
import signal
import threading
from pathlib import Path
from types import FrameType
from urllib.parse import urlsplit

import click

from sync.timetable import run_worker
from web.cli.databases import opened_database
from web.cli.nodes import opened_node
from web.logs import configure_logs
from web.serving import ServeOptions, end_with_parent, serve_node

_MOST_WORKERS = 4


@click.command("serve")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen at.")
@click.option("--port", type=click.IntRange(1, 65535), help="Port to listen at; by default that of the node's URL.")
@click.option("--workers", type=click.IntRange(1, 64), help="Web processes; by default one per core, at most four.")
@click.option("--no-worker", is_flag=True, help="Leave the scheduled work to a `veza worker` of its own.")
@click.option("--parent", type=int, hidden=True, help="Stop when this process is no longer the parent.")
@click.pass_obj
def serve(data: Path, host: str, port: int | None, workers: int | None, no_worker: bool, parent: int | None) -> None:
    """Serve the node's pages, API and federation endpoints, with its worker beside."""
    with opened_database(data) as (config, _):
        chosen = port or urlsplit(config.url).port or 8000
    options = ServeOptions(
        data=data,
        host=host,
        port=chosen,
        workers=workers or min(os.cpu_count() or 1, _MOST_WORKERS),
        with_worker=not no_worker,
    )
    if parent is not None:
        end_with_parent(parent)
    words = f"{config.participant} {config.url} served at {host}:{chosen}; Ctrl-C stops it"
    serve_node(options, lambda: click.echo(words, err=True))


@click.command("worker")
@click.option("--parent", type=int, hidden=True, help="Stop when this process is no longer the parent.")
@click.pass_obj
def worker(data: Path, parent: int | None) -> None:
    """Do the node's scheduled work: sync, push, renewals. One at a time leads, however many run."""
    stop = threading.Event()

    def ask_to_stop(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask_to_stop)
    # beside a web server the terminal's Ctrl-C reaches both; the server decides when its worker stops
    signal.signal(signal.SIGINT, ask_to_stop if parent is None else signal.SIG_IGN)
    if parent is not None:
        end_with_parent(parent)
    with opened_node(data) as (_, node):
        configure_logs()
        run_worker(node, stop)
