"""``veza demo``: a federation of real nodes on this machine, until it is stopped."""

import json
import logging
import signal
import time
from collections.abc import Sequence
from pathlib import Path

import click

from web.cli.output import json_option, print_table, working
from web.demo import PASSWORD, PEOPLE, start_demo
from web.demo_plan import MOST_COUNTRIES, DemoNode, plan_nodes
from web.demo_processes import DemoProcesses

_WATCH_SECONDS = 1.0


@click.command("demo")
@click.option("--dir", "directory", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-data"))
@click.option(
    "--nodes", "count", type=click.IntRange(1, MOST_COUNTRIES), default=3, show_default=True, help="Countries."
)
@click.option("--organisations", is_flag=True, help="Also Europol, INTERPOL, SELEC and the others of the sample.")
@click.option("--base-port", type=click.IntRange(1024, 65000), default=8100, show_default=True, help="First port.")
@json_option
def demo(directory: Path, count: int, organisations: bool, base_port: int, as_json: bool) -> None:
    """Run N real nodes on loopback, with an anchor, sample data, rotas and people to sign in as.

    Says so in one go when all are ready, and runs until it is stopped (Ctrl-C); then it stops every process that it
    started. The same --dir goes on where it was.
    """
    directory = directory.absolute()
    nodes = plan_nodes(directory, count, organisations, base_port)
    # SIGTERM ends the demo like Ctrl-C: by an exception, so that everything started is stopped on the way out
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    # while nodes get to know each other some pulls fail and are repeated; what fails for good is said in the end
    logging.getLogger("sync.pull").setLevel(logging.ERROR)
    processes = DemoProcesses()
    try:
        with working("preparing the demo federation"):
            start_demo(nodes, processes, lambda text: click.echo(text, err=True))
        _announce(nodes, directory, as_json)
        _run(processes)
    except KeyboardInterrupt:
        click.echo("stopping", err=True)
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)  # a second Ctrl-C must not leave processes behind
        processes.stop()


def _announce(nodes: Sequence[DemoNode], directory: Path, as_json: bool) -> None:
    if as_json:
        entries = [{"participant": n.participant, "url": n.url, "data": str(n.data)} for n in nodes]
        click.echo(json.dumps(entries, ensure_ascii=False))
        return
    click.echo(f"{len(nodes)} nodes are ready, their data below {directory}; Ctrl-C stops them")
    print_table(("participant", "address", "data"), [(n.participant, n.url, n.data) for n in nodes])
    click.echo(f"\nsign in with the password: {PASSWORD}")
    print_table(("name", "may"), PEOPLE.items())


def _run(processes: DemoProcesses) -> None:
    """Until a signal comes; a node that ends meanwhile is missed aloud, the others go on."""
    while True:
        time.sleep(_WATCH_SECONDS)
        for participant in processes.ended():
            click.echo(f"the node of {participant} has ended; the others go on", err=True)
