"""``veza``: the node's command line (interface.md, section 2); one module per subject.

Commands are loaded when they are called: ``veza on-duty --rota`` needs neither a web framework nor a database, and a
script that asks a hundred times should not wait for them. Exit status: 0, 1 (it failed, nothing half done), 2 (usage).
"""

import importlib
import logging
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from web.cli.failure import REPORTED, report_failure
from web.places import DEFAULT_DATA

COMMANDS = {
    "init": "web.cli.init:init",
    "import": "web.cli.importing:import_document",
    "export": "web.cli.exporting:export",
    "serve": "web.cli.serve:serve",
    "worker": "web.cli.serve:worker",
    "sync": "web.cli.sync:sync",
    "federation": "web.cli.sync:federation",
    "dispute": "web.cli.dispute:dispute",
    "lookup": "web.cli.lookup:lookup_contacts",
    "on-duty": "web.cli.on_duty:on_duty",
    "rota": "web.cli.rota:rota",
    "peer": "web.cli.peer:peer",
    "anchor": "web.cli.anchor:anchor",
    "keys": "web.cli.keys:keys",
    "user": "web.cli.user:user",
    "verify": "web.cli.upkeep:verify",
    "rebuild": "web.cli.upkeep:rebuild",
    "migrate": "web.cli.upkeep:migrate",
    "doctor": "web.cli.doctor:doctor",
    "readiness": "web.cli.readiness:readiness",
    "demo": "web.cli.demo:demo",
}
"""Where each command lives, in the order in which ``veza --help`` shows them."""


class _LazyGroup(click.Group):
    """A group that imports a command's module only when that command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command of this name; None where there is none, for click to say so."""
        if cmd_name not in COMMANDS:
            return None
        module, _, attribute = COMMANDS[cmd_name].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


@click.command(cls=_LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="VEZA_DATA",
    default=DEFAULT_DATA,
    show_default=True,
    metavar="DIR",
    help="The node's data directory (or the variable VEZA_DATA).",
)
@click.pass_context
def veza(ctx: click.Context, data: Path) -> None:
    """Directory and handshake service by which police contact points find each other at any hour."""
    ctx.obj = data.expanduser()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 (it failed, with one line that says why), 2 (usage)."""
    if not logging.getLogger().handlers:  # a command prints what it did; only what serves writes log lines
        logging.getLogger().addHandler(logging.NullHandler())
    try:
        status = veza.main(args=arguments, prog_name="veza", standalone_mode=False)
    except click.exceptions.Abort:
        click.echo("veza: stopped", err=True)
        return 1
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        # whoever read our output has gone (``veza … | head``): keep Python from complaining at its exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except REPORTED as error:
        report_failure(error)
        return 1
    return status if isinstance(status, int) else 0
