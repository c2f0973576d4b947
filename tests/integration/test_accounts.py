"""Accounts, tokens and sessions on both databases."""

import datetime as dt

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from directory.store import read_counters
from web import accounts
from web.errors import AccountError, UnauthenticatedError, UnknownUserError

NOW = dt.datetime(2026, 11, 21, 20, 0, tzinfo=dt.UTC)
PASSWORD = "five wild horses run"
HOUR = dt.timedelta(hours=1)


@pytest.fixture
def with_ana(engine: sa.Engine) -> sa.Engine:
    with writing(engine) as session:
        accounts.add_user(session, "ana", PASSWORD, ["node_admin", "officer"], "me-spoc", NOW)
    return engine


def counter(engine: sa.Engine) -> int:
    with reading(engine) as session:
        return read_counters(session)["accounts"]


def test_an_account_with_its_roles(with_ana: sa.Engine) -> None:
    with reading(with_ana) as session:
        principal = accounts.authenticate(session, "ana", PASSWORD)
        assert principal == accounts.Principal("ana", frozenset({"node_admin", "officer"}), "me-spoc")
        assert accounts.list_users(session) == [
            accounts.Account("ana", ("node_admin", "officer"), "me-spoc", False, NOW)
        ]


@pytest.mark.parametrize(
    "password",
    [
        "x" * 5 + "yzabc" + "w" * 5,
        "пет дивљих коња трчи",
        "five  spaces   kept ",
        "🐎" * 3 + " wild horses",
        "aB3$x" * 26,
        "abcde" * 200,
    ],
)
def test_passwords_are_taken_whole(engine: sa.Engine, password: str) -> None:
    with writing(engine) as session:
        accounts.add_user(session, "dora", password, ["duty"], None, NOW)
    with reading(engine) as session:
        assert accounts.authenticate(session, "dora", password).name == "dora"
        for wrong in (password[:-1], password + " ", password.upper() + "!", password.strip() + "?"):
            with pytest.raises(UnauthenticatedError):
                accounts.authenticate(session, "dora", wrong)


@pytest.mark.parametrize(
    ("name", "password", "roles", "unit"),
    [
        ("dora", "fourteen chars", ["duty"], None),
        ("dora", "x" * 1025, ["duty"], None),
        ("dora", "aaaaaaaaaaaaaaaa", ["duty"], None),
        ("dora", "my name is Dora ok", ["duty"], None),
        ("dora", PASSWORD, [], None),
        ("dora", PASSWORD, ["duty", "king"], None),
        ("dora", PASSWORD, ["duty"], "RS:unit/x"),
        ("Dora", PASSWORD, ["duty"], None),
        ("", PASSWORD, ["duty"], None),
        ("d" * 65, PASSWORD, ["duty"], None),
        ("ana", PASSWORD, ["duty"], None),
    ],
)
def test_odd_accounts_are_refused(
    with_ana: sa.Engine, name: str, password: str, roles: list[str], unit: str | None
) -> None:
    before = counter(with_ana)
    with pytest.raises(AccountError), writing(with_ana) as session:
        accounts.add_user(session, name, password, roles, unit, NOW)
    with reading(with_ana) as session:
        assert [account.name for account in accounts.list_users(session)] == ["ana"]
    assert counter(with_ana) == before


@pytest.mark.parametrize(
    "change",
    [
        lambda session: accounts.set_roles(session, "nobody", ["duty"], None),
        lambda session: accounts.set_password(session, "nobody", PASSWORD),
        lambda session: accounts.set_disabled(session, "nobody", True),
        lambda session: accounts.issue_token(session, "nobody", HOUR, NOW),
        lambda session: accounts.revoke_tokens(session, "nobody"),
    ],
)
def test_nobody_is_not_found(with_ana: sa.Engine, change) -> None:
    with pytest.raises(UnknownUserError, match="nobody"), writing(with_ana) as session:
        change(session)


@pytest.mark.parametrize("lifetime", [dt.timedelta(0), dt.timedelta(seconds=-1), dt.timedelta(days=367)])
def test_absurd_lifetimes_are_refused(with_ana: sa.Engine, lifetime: dt.timedelta) -> None:
    with pytest.raises(AccountError), writing(with_ana) as session:
        accounts.issue_token(session, "ana", lifetime, NOW)


def test_a_token_speaks_for_its_user_until_it_ends(with_ana: sa.Engine) -> None:
    with writing(with_ana) as session:
        token = accounts.issue_token(session, "ana", HOUR, NOW)
    with with_ana.connect() as connection:
        assert connection.execute(sa.text("SELECT digest FROM api_token")).scalar_one() == accounts.secret_digest(token)
    with reading(with_ana) as session:
        assert accounts.principal_of_token(session, token, NOW + HOUR - dt.timedelta(seconds=1)) is not None
        assert accounts.principal_of_token(session, token, NOW + HOUR) is None
        assert accounts.principal_of_token(session, token + "x", NOW) is None


def test_old_tokens_and_sessions_are_cleared_away(with_ana: sa.Engine) -> None:
    for later in (dt.timedelta(0), 2 * HOUR):
        with writing(with_ana) as session:
            accounts.issue_token(session, "ana", HOUR, NOW + later)
            accounts.open_session(session, "ana", HOUR, NOW + later)
    with with_ana.connect() as connection:
        for table in ("api_token", "session"):
            assert connection.execute(sa.text(f"SELECT count(*) FROM {table}")).scalar_one() == 1


@pytest.mark.parametrize(
    "change",
    [
        lambda session: accounts.set_password(session, "ana", "another long password"),
        lambda session: accounts.set_disabled(session, "ana", True),
    ],
)
def test_access_ends_with_the_password_and_the_account(with_ana: sa.Engine, change) -> None:
    with writing(with_ana) as session:
        token = accounts.issue_token(session, "ana", HOUR, NOW)
        secret = accounts.open_session(session, "ana", HOUR, NOW)
    before = counter(with_ana)
    with writing(with_ana) as session:
        change(session)
    assert counter(with_ana) > before
    with reading(with_ana) as session:
        assert accounts.principal_of_token(session, token, NOW) is None
        assert accounts.principal_of_session(session, secret, NOW) is None
        with pytest.raises(UnauthenticatedError):
            accounts.authenticate(session, "ana", PASSWORD)


def test_a_disabled_user_gets_no_token(with_ana: sa.Engine) -> None:
    with writing(with_ana) as session:
        accounts.set_disabled(session, "ana", True)
    with pytest.raises(AccountError, match="disabled"), writing(with_ana) as session:
        accounts.issue_token(session, "ana", HOUR, NOW)
    with writing(with_ana) as session:
        accounts.set_disabled(session, "ana", False)
        assert accounts.authenticate(session, "ana", PASSWORD).name == "ana"


def test_sessions_open_end_and_close(with_ana: sa.Engine) -> None:
    with writing(with_ana) as session:
        secret = accounts.open_session(session, "ana", HOUR, NOW)
    with writing(with_ana) as session:
        assert accounts.principal_of_session(session, secret, NOW) is not None
        assert accounts.principal_of_session(session, secret, NOW + HOUR) is None
        accounts.close_session(session, secret)
        assert accounts.principal_of_session(session, secret, NOW) is None
        accounts.close_session(session, secret)


def test_a_mark_changes_with_the_password(with_ana: sa.Engine) -> None:
    with writing(with_ana) as session:
        before = accounts.password_mark(session, "ana")
        accounts.set_password(session, "ana", "another long password")
        assert accounts.password_mark(session, "ana") != before
        assert accounts.password_mark(session, "nobody") is None
        accounts.set_disabled(session, "ana", True)
        assert accounts.password_mark(session, "ana") is None
