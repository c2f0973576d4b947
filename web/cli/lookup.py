"""``veza lookup``: the ranked, explained answer of directory.md section 4, from a node or from documents alone."""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from directory.answers import to_json
from directory.document import load_json_file, parse_documents
from directory.errors import InvalidInputError
from directory.freshness import LogFacts
from directory.index import Directory
from directory.lookup import lookup, parse_query
from directory.policy import Policy, load_policy
from web.cli.output import json_option, print_json, print_table
from web.cli.parameters import FILE, now

Facts = Callable[[str], LogFacts | None]
_OPTIONS = (
    ("--from", "from", "Asking country or organisation; by default the node's own."),
    ("--country", "country", "Country or organisation to be reached."),
    ("--crime-area", "crime_area", "Crime area, such as migrant_smuggling; `other` by default."),
    ("--location", "location", "Crossing (id or name) or ISO 3166-2 area."),
    ("--urgency", "urgency", "urgent or routine (the default)."),
    ("--access", "access", "direct (the default) or indirect access to the information."),
    ("--subject", "subject", "What it is about; police_information by default."),
    ("--classification", "classification", "UNCLASSIFIED by default."),
    ("--language", "language", "Language of the request; the asker's first by default."),
    ("--at", "at", "When, such as 2027-02-09T10:00:00+01:00; now by default."),
)


def _query_options(command: Callable[..., None]) -> Callable[..., None]:
    for flag, name, text in reversed(_OPTIONS):
        command = click.option(flag, f"field_{name}", help=text)(command)
    return command


@click.command("lookup")
@_query_options
@click.option("--involves", multiple=True, help="A third country involved; may be given several times.")
@click.option("--outage", multiple=True, help="A channel that is down: CODE:channel, or channel for both sides.")
@click.option("--documents", type=FILE, multiple=True, help="Answer from directory documents alone; no node is needed.")
@click.option("--query", "query_file", type=FILE, help="A query, or a list of them, as JSON; the answer is JSON too.")
@json_option
@click.pass_obj
def lookup_contacts(
    data: Path,
    involves: tuple[str, ...],
    outage: tuple[str, ...],
    documents: tuple[Path, ...],
    query_file: Path | None,
    as_json: bool,
    **fields: str | None,
) -> None:
    """Whom to ask: up to three contact points in order, each with the reasons, and why the others are not there."""
    asked: dict[str, object] = {name.removeprefix("field_"): text for name, text in fields.items() if text is not None}
    asked |= {"involves": list(involves)} if involves else {}
    asked |= {"outages": list(outage)} if outage else {}
    if query_file is not None and asked:
        raise click.UsageError("give the query either by options or by --query FILE")
    answerer = _from_documents(documents) if documents else _from_node(data)
    if query_file is not None:
        print_json(_answer_file(answerer, load_json_file(query_file)))
        return
    answer = answerer(asked)
    if as_json:
        print_json(answer)
    else:
        _print_answer(answer)
