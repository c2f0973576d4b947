"""``veza on-duty``: who serves at an instant, or the gap and whom to turn to instead."""

import datetime as dt
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from directory.duty import member_json, who_is_on_duty
from directory.instants import format_instant
from directory.rota import Rota
from directory.rota_schedule import next_member, shift_at
from web.cli.directories import directory_of_node
from web.cli.output import json_option, print_json
from web.cli.parameters import FILE, INSTANT, now, read_rota


@click.command("on-duty")
@click.argument("ref", required=False)
@click.option("--rota", "file", type=FILE, help="A rota document; no node is needed.")
@click.option("--at", type=INSTANT, help="When; by default now.")
@json_option
@click.pass_obj
def on_duty(data: Path, ref: str | None, file: Path | None, at: dt.datetime | None, as_json: bool) -> None:
    """Who is on duty in the unit REF (such as ME:unit/me-spoc), or by the rota of a file."""
    if (ref is None) == (file is None):
        raise click.UsageError("give either a unit's reference such as ME:unit/me-spoc or --rota FILE")
    instant = at or now()
    if file is not None:
        answer = duty_of_rota(read_rota(file), instant)
    else:
        assert ref is not None
        answer = who_is_on_duty(directory_of_node(data).directory, ref, instant)
    if as_json:
        print_json(answer)
    else:
        _print_duty(answer)


def duty_of_rota(rota: Rota, at: dt.datetime) -> dict[str, Any]:
    """The answer of ``/on-duty`` from a rota alone: members are known by their ids, a gap by who comes next."""
    shift = shift_at(rota, at)
    return {
        "unit": rota.unit,
        "at": format_instant(at),
        "member": None if shift.member is None else member_json(shift.member, None),
        "since": format_instant(shift.start),
        "until": format_instant(shift.end),
        "next_contact": _next_of_rota(rota, at) if shift.member is None else None,
        "source": None,
    }


def _next_of_rota(rota: Rota, at: dt.datetime) -> dict[str, Any] | None:
    following = next_member(rota, at)
    if following is None or following.member is None:
        return None
    return {
        "via": "next",
        "unit": rota.unit,
        "member": member_json(following.member, None),
        "phone": None,
        "email": None,
        "from": format_instant(following.start),
    }


def _print_duty(answer: Mapping[str, Any]) -> None:
    member = answer["member"]
    if member is None:
        until = f" until {answer['until']}" if answer["until"] else ""
        click.echo(f"nobody is on duty{until}; next contact: {contact_text(answer['next_contact'])}")
        return
    said = filter(None, (member["name"], member["phone"], ", ".join(member["languages"])))
    click.echo(f"{'; '.join(said)} (since {answer['since']}, until {answer['until']})")


def contact_text(contact: Mapping[str, Any] | None) -> str:
    """A next contact in words."""
    if contact is None:
        return "none"
    member = contact["member"]
    said = (member["name"] if member else None, contact["unit"], contact["phone"], contact["email"])
    start = f" from {contact['from']}" if contact["from"] else ""
    return ", ".join(filter(None, said)) + start
