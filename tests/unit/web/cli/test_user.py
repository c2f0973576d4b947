"""``veza user``: accounts from a terminal or a script."""

import datetime as dt

import pytest

from directory.database import reading
from directory.instants import parse_instant
from web.accounts import principal_of_token
from web.cli.databases import opened_database

PASSWORD = "correct horse battery"


@pytest.fixture
def ana(veza):
    arguments = ("user", "add", "ana", "--role", "officer", "--role", "duty", "--unit", "me-spoc")
    assert veza(*arguments, typed=PASSWORD + "\n")[0] == 0


def principal(data, token):
    with opened_database(data) as (_, engine), reading(engine) as session:
        return principal_of_token(session, token.strip(), dt.datetime.now(dt.UTC))


def test_an_account_is_added_and_listed(veza, answer, ana):
    (account,) = answer("user", "list")
    assert (account["name"], account["roles"], account["unit"]) == ("ana", ["duty", "officer"], "me-spoc")
    assert account["disabled"] is False
    assert "ana" in veza("user", "list")[1]


def test_the_password_is_read_from_standard_input_and_never_shown(veza):
    status, out, err = veza("user", "add", "ana", "--role", "auditor", typed=PASSWORD)
    assert (status, err) == (0, "")
    assert PASSWORD not in out


def test_a_token_is_printed_once_and_good(veza, data, ana):
    status, out, _ = veza("user", "token", "ana")
    assert status == 0
    assert principal(data, out).name == "ana"
    assert out.strip() not in veza("user", "list", "--json")[1]


def test_a_token_lives_as_long_as_asked(answer, ana):
    issued = answer("user", "token", "ana", "--ttl", "30m")
    lifetime = parse_instant(issued["expires_at"]) - dt.datetime.now(dt.UTC)
    assert dt.timedelta(minutes=29) < lifetime <= dt.timedelta(minutes=30)


def test_roles_are_replaced_and_the_unit_stays(veza, answer, ana):
    assert veza("user", "role", "ana", "--role", "rota_admin")[0] == 0
    (account,) = answer("user", "list")
    assert (account["roles"], account["unit"]) == (["rota_admin"], "me-spoc")
    assert answer("user", "role", "ana", "--role", "rota_admin", "--unit", "me-ncb")["unit"] == "me-ncb"


def test_a_new_password_ends_tokens(veza, data, ana):
    token = veza("user", "token", "ana")[1]
    assert veza("user", "password", "ana", typed="another long password\n")[0] == 0
    assert principal(data, token) is None


def test_a_disabled_account_may_nothing_until_it_is_opened(veza, data, ana):
    token = veza("user", "token", "ana")[1]
    assert veza("user", "disable", "ana")[1].startswith("disabled ana")
    assert principal(data, token) is None
    assert veza("user", "token", "ana")[0] == 1
    assert veza("user", "disable", "ana", "--undo")[1].startswith("opened ana")
    assert veza("user", "token", "ana")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "typed", "code"),
    [
        (("add", "ana", "--role", "officer"), PASSWORD, "bad_request"),
        (("add", "ben", "--role", "officer"), "short", "bad_request"),
        (("add", "ben", "--role", "officer"), "", "bad_request"),
        (("add", "Ben Ten", "--role", "officer"), PASSWORD, "bad_request"),
        (("add", "ben", "--role", "officer", "--unit", "ME:unit/x"), PASSWORD, "bad_request"),
        (("role", "ben", "--role", "officer"), "", "not_found"),
        (("password", "ben"), PASSWORD, "not_found"),
        (("password", "ana"), "aaaaaaaaaaaaaaaa", "bad_request"),
        (("disable", "ben"), "", "not_found"),
        (("token", "ben"), "", "not_found"),
        (("token", "ana", "--ttl", "99999d"), "", "bad_request"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(veza, ana, arguments, typed, code):
    status, out, err = veza("user", *arguments, typed=typed)
    assert (status, out) == (1, "")
    assert err.startswith(f"veza: {code}: ")
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("add", "ben"),
        ("add", "--role", "officer"),
        ("add", "ben", "--role", "king"),
        ("token", "ana", "--ttl", "forever"),
        ("token", "ana", "--ttl", "8"),
        ("role", "ana"),
    ],
)
def test_usage_errors(veza, arguments):
    assert veza("user", *arguments)[0] == 2


@pytest.mark.parametrize("unit", ["me-spco", "rs-spoc"])
def test_a_unit_that_is_not_there_yet_is_said(veza, ana, unit):
    said = f"ME has no unit {unit} yet: %s may edit nothing there\n"
    arguments = ("--role", "rota_admin", "--unit", unit)
    assert veza("user", "add", "ben", *arguments, typed=PASSWORD)[::2] == (0, said % "ben")
    assert veza("user", "role", "ana", *arguments)[::2] == (0, said % "ana")


def test_a_unit_that_is_there_needs_no_words(veza, ana):
    assert veza("user", "role", "ana", "--role", "duty", "--unit", "me-ncb")[::2] == (0, "")
    assert veza("user", "add", "ben", "--role", "duty", "--unit", "me-spoc", typed=PASSWORD)[::2] == (0, "")
