"""``veza lookup``: the ranked, explained answer of directory.md section 4, from a node or from documents alone."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from directory.answers import to_json
from directory.errors import Fault, InvalidInputError
from directory.lookup import lookup
from directory.query import parse_query
from web.cli.directories import AskedDirectory, directory_of_documents, directory_of_node
from web.cli.on_duty import contact_text
from web.cli.output import json_option, print_json
from web.cli.parameters import FILE, now, read_json

_OPTIONS = (
    ("--from", "from", "Asking country or organisation; by default the node's own."),
    ("--country", "country", "Country or organisation to be reached."),
    ("--crime-area", "crime_area", "Such as migrant_smuggling; by default other."),
    ("--location", "location", "A crossing (id or name) or an ISO 3166-2 area."),
    ("--urgency", "urgency", "urgent, or routine (the default)."),
    ("--access", "access", "Access to the information: direct (the default) or indirect."),
    ("--subject", "subject", "Such as sis_alert; by default police_information."),
    ("--classification", "classification", "By default UNCLASSIFIED."),
    ("--language", "language", "Language of the request; by default the asker's first."),
    ("--at", "at", "When, such as 2027-02-09T10:00:00+01:00; by default now."),
)


def _query_options(command: Callable[..., None]) -> Callable[..., None]:
    for flag, name, text in reversed(_OPTIONS):
        command = click.option(flag, f"field_{name}", help=text)(command)
    return command


@click.command("lookup")
@_query_options
@click.option("--involves", multiple=True, metavar="CODE", help="A third country involved; may be repeated.")
@click.option("--outage", multiple=True, help="A channel that is down: CODE:channel, or channel for both sides.")
@click.option("--documents", type=FILE, multiple=True, help="Answer from directory documents alone; no node is needed.")
@click.option("--query", "query_file", type=FILE, help="A query, or a list of them, as JSON; the answer is JSON too.")
@json_option
@click.pass_obj
def lookup_contacts(
    data: Path,
    /,
    involves: tuple[str, ...],
    outage: tuple[str, ...],
    documents: tuple[Path, ...],
    query_file: Path | None,
    as_json: bool,
    **fields: str | None,
) -> None:
    """Whom to ask: up to three contact points in order, with the reasons, and why the others are not there."""
    asked = _given(fields | {"involves": list(involves) or None, "outages": list(outage) or None})
    if query_file is not None and asked:
        raise click.UsageError("give the query either by options or by --query FILE")
    source = directory_of_documents(documents) if documents else directory_of_node(data)
    if query_file is not None:
        print_json(answer_file(source, read_json(query_file)))
        return
    answer = answer_query(source, asked)
    if as_json:
        print_json(answer)
    else:
        _print_answer(answer)


def _given(options: Mapping[str, object]) -> dict[str, object]:
    """The query's fields that were given as options."""
    return {name.removeprefix("field_"): value for name, value in options.items() if value is not None}


def answer_query(source: AskedDirectory, fields: Mapping[str, object]) -> dict[str, Any]:
    """The answer to one query, as the API gives it; InvalidInputError with every field that is wrong."""
    query = parse_query(fields, source.directory, now(), own=source.own)
    return to_json(lookup(query, source.directory, source.policy, source.facts))


def answer_file(source: AskedDirectory, queries: object) -> dict[str, Any] | list[dict[str, Any]]:
    """The answer to the query of a file, or to each of its list; one that cannot be read refuses them all."""
    if isinstance(queries, dict):
        return answer_query(source, queries)
    if not isinstance(queries, list):
        raise InvalidInputError([Fault("", queries, "a query or a list of queries was expected")])
    answers: list[dict[str, Any]] = []
    faults: list[Fault] = []
    for index, query in enumerate(queries):
        if not isinstance(query, dict):
            faults.append(Fault(f"/{index}", query, "a query was expected"))
            continue
        try:
            answers.append(answer_query(source, query))
        except InvalidInputError as error:
            faults += [replace(fault, place=f"/{index}{fault.place}") for fault in error.faults]
    if faults:
        raise InvalidInputError(faults)
    return answers


def _print_answer(answer: Mapping[str, Any]) -> None:
    for place, candidate in enumerate(answer["candidates"], start=1):
        _print_candidate(place, candidate)
    if answer["no_channel"] is not None:
        opening = answer["no_channel"]["next_opening"]
        click.echo(answer["no_channel"]["reason"] + (f"; the next one opens {opening}" if opening else ""))
    _print_terms(answer)
    for rejected in answer["rejected"]:
        opening = f"; opens {rejected['next_opening']}" if rejected["next_opening"] else ""
        subject = " ".join(filter(None, (rejected["unit"], rejected["channel"])))
        click.echo(f"not {subject}: {rejected['rule']} {rejected['reason']}{opening}")
    for note in answer["notes"]:
        click.echo(f"note: {note}")


def _print_terms(answer: Mapping[str, Any]) -> None:
    """What holds for the whole answer, whoever of the candidates takes it."""
    deadline = answer["deadline"]
    due = "none" if deadline is None else f"{deadline['due']} ({deadline['rule']}, {deadline['profile']})"
    click.echo(f"deadline        {due}")
    click.echo(f"language        {answer['language'] or 'none in common: translation needed'}")
    click.echo(f"execution unit  {answer['execution_unit'] or '-'}")
    click.echo(f"copy to         {', '.join(answer['copy_to']) or '-'}")
    click.echo(f"Europol copy    {'assessment needed' if answer['europol_copy_assessment'] else 'no assessment'}")


def _print_candidate(place: int, candidate: Mapping[str, Any]) -> None:
    duty, next_contact = candidate["on_duty"], candidate["next_contact"]
    endpoint = ", ".join(filter(None, candidate["endpoint"].values()))
    hours = "open" if candidate["open"] else f"closed, opens {candidate['next_opening']}"
    click.echo(f"{place}. {candidate['unit']} by {candidate['channel']}: {endpoint or 'no address published'}")
    click.echo(f"   {hours}, their time {candidate['local_time']}")
    if duty is not None:
        click.echo(f"   on duty: {', '.join(filter(None, (duty['name'], duty['phone'])))} until {duty['until']}")
    elif next_contact is not None:
        click.echo(f"   nobody is on duty; next contact: {contact_text(next_contact)}")
    freshness = candidate["freshness"]
    if freshness["state"] is not None:
        click.echo(f"   data {freshness['state']}, checked {freshness['checked_at'] or 'never'}")
    for reason in candidate["reasons"]:
        click.echo(f"   - {reason}")
