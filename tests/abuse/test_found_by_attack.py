"""Group X: what attacks on running nodes found. Each test says what is tried and why it worked."""

import datetime as dt

import pytest
import sqlalchemy as sa

from directory.database import reading
from federation.errors import TokenError, TrustError
from federation.keys import jwks_of, key_set
from federation.participants import MOST_A_DAY, load_participant
from federation.tables import ConfigurationRow
from sync.clock_watch import ask_peers_clocks, confirm_clock, read_date
from sync.inbox import receive_statement
from sync.transport import JSON, Response
from tests.abuse.attacked import MIB, Attacked, peak_memory_at_most
from tests.abuse.test_own_ideas import metadata, statement
from tests.simulators.node_simulator import named_key

ODD_DATES = (
    "Fri, 31 Dec 9999 23:59:59 -2359",
    "Fri, 31 Dec 2026 23:59:59 +99999999999999",
    "Fri, 31 Dec 2026 99999999999999999999:59:59 GMT",
    "Fri, 31 Dec 99999999999999999999 23:59:59 GMT",
)


@pytest.mark.parametrize("text", ODD_DATES)
def test_x31_date_beyond_every_calendar(text: str) -> None:
    """A number that no calendar holds is an OverflowError, which is no ValueError: it ended the thread that asked."""
    assert read_date(text) is None


def test_x31_a_peer_without_a_calendar_keeps_nobody_from_the_clock(attacked: Attacked) -> None:
    """One bad peer of three: the other two confirm the clock."""

    def dated(text: str) -> Response:
        return Response(200, JSON, b"{}", {"date": text})

    now = attacked.now
    right = now.strftime("%a, %d %b %Y %H:%M:%S GMT")
    for code, text in (("rs", ODD_DATES[0]), ("mk", right), ("hr", right)):
        attacked.network.faults[f"https://{code}.example/healthz"] = lambda url, text=text: dated(text)
    assert [clock.participant for clock in ask_peers_clocks(attacked.follower.node, lambda: now)] == ["HR", "MK"]
    assert confirm_clock(attacked.follower.node, lambda: now)


def test_x32_configuration_for_each_second(attacked: Attacked) -> None:
    """Configurations are kept for good, and a trusted node can post one of 60 KiB for each second of three months."""
    begin, padding = int(attacked.now.timestamp()) - 1000, "x" * 40_000
    node = attacked.follower.node
    codes = []
    with peak_memory_at_most(96 * MIB):
        for second in range(MOST_A_DAY + 5):
            try:
                receive_statement(node, statement(attacked.honest, iat=begin + second, padding=padding), attacked.now)
            except TrustError as error:
                codes.append(error.code)
    assert set(codes) == {"rate_limited"}
    assert attacked.counted("RS", "rate_limited") == len(codes)
    with reading(attacked.follower.engine) as session:
        count = sa.select(sa.func.count()).where(ConfigurationRow.participant == "RS")
        assert session.execute(count).scalar_one() == MOST_A_DAY
    attacked.follower.pass_time(dt.timedelta(days=1))  # the next renewal is taken as ever


def test_x32_revocation_after_a_flood(attacked: Attacked) -> None:
    """A stolen federation key uses the day's configurations up: the owner's revocation is taken all the same."""
    begin, node = int(attacked.now.timestamp()) - 1000, attacked.follower.node
    both = jwks_of(key_set(attacked.honest.identity.operating_key, named_key("thief")))
    for second in range(MOST_A_DAY - 1):  # one is held already
        listed = metadata(attacked.honest, jwks=both)
        receive_statement(node, statement(attacked.honest, iat=begin + second, metadata=listed), attacked.now)
    with pytest.raises(TrustError, match="rate_limited"):
        receive_statement(node, statement(attacked.honest, iat=begin + 400, metadata=listed), attacked.now)
    receive_statement(node, statement(attacked.honest, iat=begin + 401), attacked.now)
    with reading(attacked.follower.engine) as session:
        held = load_participant(session, "RS")
    assert held is not None
    assert held.operating_keys.keys() == {attacked.honest.identity.operating_key.kid}
    attacked.follower.pass_time(dt.timedelta(days=1))  # the next renewal is taken as ever


@pytest.mark.parametrize("end", ["..", ".", "a/..", "../a", "a/./b"])
def test_x33_announced_url_that_climbs(attacked: Attacked, end: str) -> None:
    """A node below a path of its host announces the path above it: what is posted there reaches another site."""
    attacked.refuses(
        lambda node: setattr(
            node, "configuration_token", statement(node, metadata=metadata(node, messages=f"{node.entity_id}/{end}"))
        ),
        "insecure_url",
    )


def test_x34_times_from_the_future_with_a_stolen_key(attacked: Attacked) -> None:
    """The thief of an operating key posts what is held with an ``iat`` 300 s ahead; the key is revoked at once.

    What the origin signed then itself was older than what was held, a rollback, until its next hourly checkpoint.
    """
    node, thief = attacked.follower.node, attacked.honest.copy()
    ahead = attacked.now + dt.timedelta(seconds=299)
    receive_statement(node, thief.checkpoint(ahead).token.encode(), attacked.now)
    attacked.honest.rotate_operating_key("after the theft")
    attacked.follower.pass_time(dt.timedelta(seconds=10))
    attacked.network.set_time(attacked.now)
    attacked.honest.renew_configuration()
    assert attacked.follower.pull("RS").result == "ok"
    with pytest.raises(TokenError) as refused:
        receive_statement(node, thief.checkpoint(ahead).token.encode(), attacked.now)
    assert refused.value.code == "unknown_key"
