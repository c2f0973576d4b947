"""``veza user``: local accounts, their roles, passwords and API tokens."""

import datetime as dt
import re
import sys
from pathlib import Path
from typing import Any

import click
from sqlalchemy.orm import Session

from directory.database import reading, writing
from directory.instants import format_instant
from directory.store import LIVE, load_record
from web import accounts
from web.cli.databases import opened_database
from web.cli.output import json_option, print_json, print_table
from web.cli.parameters import now

_UNITS = {"m": "minutes", "h": "hours", "d": "days"}
_ROLES = click.Choice(sorted(accounts.ROLES))


class LifetimeParameter(click.ParamType):  # type: ignore[type-arg]  # generic since click 8.4 only
    """A time to live such as ``8h``, ``30m`` or ``7d``."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> dt.timedelta:
        """Read the text as a length of time; anything else is a usage error."""
        if isinstance(value, dt.timedelta):
            return value
        match = re.fullmatch(r"(\d{1,5})([mhd])", str(value))
        if not match:
            self.fail(f"expected a time such as 8h, 30m or 7d, found {value!r}", param, ctx)
        return dt.timedelta(**{_UNITS[match[2]]: int(match[1])})


@click.group()
def user() -> None:
    """Local accounts: who may sign in, and what they may do."""


@user.command("add")
@click.argument("name")
@click.option("--role", "roles", type=_ROLES, multiple=True, required=True, help="May be given several times.")
@click.option("--unit", help="The id of the user's own unit, such as me-spoc.")
@json_option
@click.pass_obj
def add(data: Path, name: str, roles: tuple[str, ...], unit: str | None, as_json: bool) -> None:
    """Make an account; the password is asked for, or read from standard input."""
    with opened_database(data) as (config, engine):
        password = _read_password()
        with writing(engine) as session:
            account = accounts.add_user(session, name, password, roles, unit, now())
            _warn_of_unknown_unit(session, config.participant, account)
    _say(account, f"added {name}", as_json)


@user.command("list")
@json_option
@click.pass_obj
def list_accounts(data: Path, as_json: bool) -> None:
    """Every account with its roles."""
    with opened_database(data) as (_, engine), reading(engine) as session:
        found = accounts.list_users(session)
    if as_json:
        print_json([_account_to_json(account) for account in found])
        return
    rows = [(a.name, a.roles, a.unit, a.disabled, format_instant(a.created_at)) for a in found]
    print_table(("user", "roles", "unit", "disabled", "since"), rows)


@user.command("role")
@click.argument("name")
@click.option("--role", "roles", type=_ROLES, multiple=True, required=True, help="May be given several times.")
@click.option("--unit", help="The id of the user's own unit; without it the present one stays.")
@json_option
@click.pass_obj
def role(data: Path, name: str, roles: tuple[str, ...], unit: str | None, as_json: bool) -> None:
    """Give an account these roles instead of its present ones."""
    with opened_database(data) as (config, engine), writing(engine) as session:
        present = {account.name: account.unit for account in accounts.list_users(session)}
        account = accounts.set_roles(session, name, roles, unit or present.get(name))
        _warn_of_unknown_unit(session, config.participant, account)
    _say(account, f"changed {name}", as_json)


@user.command("password")
@click.argument("name")
@json_option
@click.pass_obj
def password(data: Path, name: str, as_json: bool) -> None:
    """Give an account another password; whoever is signed in with the old one is signed out."""
    with opened_database(data) as (_, engine):
        chosen = _read_password()
        with writing(engine) as session:
            account = accounts.set_password(session, name, chosen)
    _say(account, f"changed the password of {name}", as_json)


@user.command("disable")
@click.argument("name")
@click.option("--undo", is_flag=True, help="Open the account again.")
@json_option
@click.pass_obj
def disable(data: Path, name: str, undo: bool, as_json: bool) -> None:
    """Close an account; its sessions and tokens end at once."""
    with opened_database(data) as (_, engine), writing(engine) as session:
        account = accounts.set_disabled(session, name, not undo)
    _say(account, f"{'opened' if undo else 'disabled'} {name}", as_json)


@user.command("token")
@click.argument("name")
@click.option("--ttl", type=LifetimeParameter(), default="8h", show_default=True, help="How long it is good for.")
@json_option
@click.pass_obj
def token(data: Path, name: str, ttl: dt.timedelta, as_json: bool) -> None:
    """Make an API token of an account; it is printed once and cannot be shown again."""
    at = now()
    with opened_database(data) as (_, engine), writing(engine) as session:
        issued = accounts.issue_token(session, name, ttl, at)
    if as_json:
        print_json({"user": name, "token": issued, "expires_at": format_instant(at + ttl)})
    else:
        click.echo(issued)


def _read_password() -> str:
    """From a prompt, twice, on a terminal; else the first line of standard input."""
    if sys.stdin.isatty():
        return str(click.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    return sys.stdin.readline().rstrip("\r\n")


def _warn_of_unknown_unit(session: Session, participant: str, account: accounts.Account) -> None:
    """A unit may come with a later import; until then a slip of the pen would show in refusals alone."""
    if account.unit is None:
        return
    record = load_record(session, participant, f"unit/{account.unit}")
    if record is None or record.state != LIVE:
        click.echo(f"{participant} has no unit {account.unit} yet: {account.name} may edit nothing there", err=True)


def _say(account: accounts.Account, text: str, as_json: bool) -> None:
    if as_json:
        print_json(_account_to_json(account))
    else:
        click.echo(f"{text} ({', '.join(account.roles)})")


def _account_to_json(account: accounts.Account) -> dict[str, Any]:
    return {
        "name": account.name,
        "roles": list(account.roles),
        "unit": account.unit,
        "disabled": account.disabled,
        "created_at": format_instant(account.created_at),
    }
