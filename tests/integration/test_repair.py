"""What is damaged is had again from a node that holds it, proven, and written in place; what cannot be is named."""

import datetime as dt
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.entries import Entry
from federation.identity import Identity
from federation.log import read_entries
from federation.publishing import PendingChange, publish
from sync.errors import StoppedError
from sync.jobs import keep_house
from sync.repair import Repaired, count_pages, find_damage, rebuild_all, repair
from tests.records import make_unit
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode
from tests.waiting import eventually

SIZE = 290
MINUTE = dt.timedelta(minutes=1)


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def origin(network: SimulatedNetwork) -> SimulatedNode:
    """RS with two pages, some of it superseded and some deleted."""
    node = network.add("RS")
    node.grow(SIZE - 3)
    node.publish("member/m-4")
    node.publish("member/m-260")
    node.delete("member/m-5")
    return node


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork, origin: SimulatedNode) -> Follower:
    """ME, which holds RS's log, three accepted checkpoints of it, and an own log that HR relays."""
    follower = make_follower(engine, network)
    whole = origin.entries
    for size in (200, 289, 290):
        origin.entries = whole[:size]
        follower.pass_time(MINUTE)
        assert follower.pull("RS").result != "ok" or follower.head("RS").size == size
    follower.pull_all()
    assert find_damage(engine, follower.now) == []
    return follower


def damage(follower: Follower, statement: str, **values: object) -> None:
    with writing(follower.engine) as session:
        assert session.execute(sa.text(statement), values).rowcount  # type: ignore[attr-defined]
    assert find_damage(follower.engine, follower.now)


def mend(follower: Follower) -> Repaired:
    return repair(follower.node, follower.now)


DAMAGES = [
    "UPDATE entry SET header = :b WHERE participant = 'RS' AND seq = 7",
    "UPDATE entry SET header = :b WHERE participant = 'RS' AND seq IN (1, 270, 288)",
    "UPDATE entry SET payload = :b WHERE participant = 'RS' AND seq = 270",
    "UPDATE entry SET payload = :b WHERE participant = 'RS' AND seq = 269",
    "UPDATE entry SET payload = NULL WHERE participant = 'RS' AND seq = 287",
    "UPDATE entry SET header = :b, payload = NULL WHERE participant = 'RS'",
    "DELETE FROM entry WHERE participant = 'RS' AND seq = 256",
    "DELETE FROM entry WHERE participant = 'RS' AND seq >= 100",
    "DELETE FROM entry WHERE participant = 'RS'",
    "UPDATE entry SET seq = 9000 WHERE participant = 'RS' AND seq = 42",
    "INSERT INTO entry (participant, seq, header) VALUES ('RS', 290, :b)",
    "INSERT INTO entry (participant, seq, header) VALUES ('XK', 0, :b)",
    "UPDATE entry SET superseded_at = '2026-11-21 20:00:00' WHERE participant = 'RS' AND seq = 9",
    "UPDATE log SET size = 42 WHERE participant = 'RS'",
    "UPDATE log SET root = :b WHERE participant = 'RS'",
    "UPDATE log SET own = true",
    "UPDATE log SET frontier = :b WHERE participant = 'RS'",
    "UPDATE log SET expires_at = '2030-01-01 00:00:00' WHERE participant = 'RS'",
    "UPDATE log SET size = 0, root = :b, frontier = :b WHERE participant = 'RS'",
    "UPDATE log SET checkpoint = 'a.b.c' WHERE participant = 'RS'",
    "UPDATE seen_checkpoint SET root = :b WHERE participant = 'RS'",
    "DELETE FROM seen_checkpoint WHERE participant = 'RS'",
    "INSERT INTO seen_checkpoint (participant, size, root) VALUES ('RS', 291, :b)",
    "UPDATE record SET data = '{}' WHERE participant = 'RS'",
    "UPDATE record SET state = 'deleted', data = NULL WHERE participant = 'RS' AND seq = 9",
    "UPDATE record SET version = 4",
    "DELETE FROM record WHERE participant = 'RS'",
    "INSERT INTO skipped (participant, seq, code, detail) VALUES ('RS', 1, 'bad_entry', '')",
    "UPDATE counter SET value = 0 WHERE name = 'directory'",
    "DELETE FROM counter",
    "UPDATE configuration SET token = 'a.b.c' WHERE participant = 'RS'",
    "UPDATE configuration SET expires_at = '2030-01-01 00:00:00' WHERE participant = 'RS'",
]


@pytest.mark.parametrize("statement", DAMAGES)
def test_a_followed_log_is_mended_from_its_origin(follower: Follower, origin: SimulatedNode, statement: str) -> None:
    before = follower.snapshot("RS")
    damage(follower, statement, **({"b": b"\x00damaged"} if ":b" in statement else {}))
    repaired = mend(follower)
    assert repaired.remaining == []
    assert repaired.repairs
    after = follower.snapshot("RS")
    assert (after.size, after.root, after.records) == (before.size, before.root, before.records)
    follower.check_holds(origin)
    origin.grow(1)  # and it goes on as if nothing had been
    assert follower.pull("RS").result == "ok"
    follower.check_holds(origin)


def test_only_the_damaged_page_is_asked_for(follower: Follower, network: SimulatedNetwork) -> None:
    damage(follower, "UPDATE entry SET payload = :b WHERE participant = 'RS' AND seq = 269", b=b"{}")
    network.forget_requests()
    assert mend(follower).remaining == []
    assert [url.rpartition("=")[2] for _, url in network.requests if "entries" in url] == ["256"]


def test_a_header_is_looked_for_between_the_accepted_checkpoints(follower: Follower, network: SimulatedNetwork) -> None:
    damage(follower, "UPDATE entry SET header = :b WHERE participant = 'RS' AND seq = 4", b=b"{}")
    network.forget_requests()
    assert mend(follower).remaining == []
    assert network.asked("entries?start=256") == 0


def test_a_relay_has_it_where_the_origin_is_silent(follower: Follower, network: SimulatedNetwork) -> None:
    origin = network.nodes["https://rs.example"]
    relay = network.add("HR")
    follower.pull_all()
    relay.relayed["RS"] = origin.copy()
    origin.online = False
    damage(follower, "UPDATE entry SET payload = :b, header = :b WHERE participant = 'RS' AND seq = 270", b=b"{}")
    repaired = mend(follower)
    assert repaired.remaining == []
    assert any("https://hr.example" in done.outcome for done in repaired.repairs)
    follower.check_holds(origin)


@pytest.mark.parametrize("lie", ["tamper_with_header", "tamper_with_payload", "withhold_payload"])
def test_what_a_liar_gives_is_not_written(follower: Follower, origin: SimulatedNode, lie: str) -> None:
    getattr(origin, lie)(269)
    damage(follower, "UPDATE entry SET payload = :b WHERE participant = 'RS' AND seq = 269", b=b"{}")
    before = stored(follower.engine, 269)
    repaired = mend(follower)
    assert [finding.what for finding in repaired.remaining][:1] in (["digest"], ["payload"])
    assert all(finding.what_to_do for finding in repaired.remaining)
    assert stored(follower.engine, 269).header == before.header
    origin.page_lie = None
    assert mend(follower).remaining == []


def test_nobody_to_ask_is_said_and_changes_nothing(follower: Follower, origin: SimulatedNode) -> None:
    origin.online = False
    damage(follower, "UPDATE entry SET header = :b WHERE participant = 'RS' AND seq = 4", b=b"{}")
    repaired = mend(follower)
    assert {finding.participant for finding in repaired.remaining} == {"RS"}
    assert any(done.outcome.startswith("not repaired: unreachable") for done in repaired.repairs)
    assert stored(follower.engine, 4).header == b"{}"


def test_a_superseded_payload_is_erased_again(follower: Follower) -> None:
    payload = stored(follower.engine, 9).payload
    with writing(follower.engine) as session:
        row = sa.text("UPDATE entry SET payload = :p WHERE participant = 'RS' AND seq = 4")
        session.execute(row, {"p": payload})
    with writing(follower.engine) as session:
        assert rebuild_all(session, follower.now) == 1
    assert find_damage(follower.engine, follower.now) == []


def test_nothing_is_erased_where_the_headers_are_damaged(follower: Follower) -> None:
    header = stored(follower.engine, 9).header
    row = "UPDATE entry SET header = :b WHERE participant = 'RS' AND seq = 11"
    damage(follower, row, b=header.replace(b'"seq":9', b'"seq":11'))  # now 9 looks superseded
    with writing(follower.engine) as session:
        assert rebuild_all(session, follower.now) == 0
    assert stored(follower.engine, 9).payload is not None


def test_verifying_changes_nothing(follower: Follower) -> None:
    damage(follower, "UPDATE entry SET header = :b WHERE participant = 'RS' AND seq = 4", b=b"{}")
    with reading(follower.engine) as session:
        pages = count_pages(session)
    seen: list[int] = []
    assert find_damage(follower.engine, follower.now, lambda: seen.append(1))
    assert len(seen) >= pages
    assert stored(follower.engine, 4).header == b"{}"


def test_the_nightly_housekeeping_mends_by_itself(
    follower: Follower, origin: SimulatedNode, caplog: pytest.LogCaptureFixture
) -> None:
    damage(follower, "UPDATE entry SET header = :b WHERE participant = 'RS' AND seq = 4", b=b"{}")
    keep_house(follower.node, follower.now, None)
    follower.check_holds(origin)
    assert "repair of RS, entries: 1 entries written anew" in caplog.text


def test_what_is_left_is_logged_with_what_to_do(
    follower: Follower, origin: SimulatedNode, caplog: pytest.LogCaptureFixture
) -> None:
    origin.online = False
    damage(follower, "UPDATE entry SET header = :b WHERE participant = 'RS' AND seq = 4", b=b"{}")
    keep_house(follower.node, follower.now, None)
    assert "RS, root 0: expected" in caplog.text
    assert "veza verify --repair" in caplog.text


# The own log


@pytest.fixture
def own(follower: Follower, network: SimulatedNetwork) -> Follower:
    """The same node with an own log of five entries that HR holds."""
    identity: Identity = follower.node.identity
    names = ["Duty desk", "Border desk", "Duty desk again", "Desk 3", "Desk 4"]
    records = ["unit/spoc", "unit/desk", "unit/spoc", "unit/three", "unit/four"]
    for record, name in zip(records, names, strict=True):
        with writing(follower.engine) as session:
            change = PendingChange(record, "put", make_unit(name={"en": name}))
            publish(session, identity, [change], follower.now)
    relay = network.add("HR")
    follower.pull_all()
    copied = SimulatedNode(identity, follower.now)
    with reading(follower.engine) as session:
        copied.entries = read_entries(session, "ME", 0, 5)
    copied.entries[0] = Entry(copied.entries[0].header, None)
    relay.relayed["ME"] = copied
    return follower


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entry SET header = :b WHERE participant = 'ME' AND seq = 1",
        "UPDATE entry SET payload = :b WHERE participant = 'ME' AND seq = 4",
        "UPDATE entry SET payload = :b WHERE participant = 'ME' AND seq = 0",
        "DELETE FROM entry WHERE participant = 'ME' AND seq > 1",
        "UPDATE log SET size = 3, frontier = :b WHERE participant = 'ME'",
        "UPDATE log SET checkpoint = 'x.y.z' WHERE participant = 'ME'",
        "UPDATE record SET data = '{}' WHERE participant = 'ME'",
        "UPDATE entry SET superseded_at = NULL WHERE participant = 'ME' AND seq = 0",
    ],
)
def test_the_own_log_is_mended_from_a_peer(own: Follower, statement: str) -> None:
    before = own.records("ME")
    damage(own, statement, **({"b": b"\x00damaged"} if ":b" in statement else {}))
    assert mend(own).remaining == []
    assert own.records("ME") == before
    with writing(own.engine) as session:
        change = PendingChange("unit/later", "put", make_unit(name={"en": "Later"}))
        assert publish(session, own.node.identity, [change], own.now).size == 6
    own.check_logs()


def test_what_is_saved_meanwhile_is_no_damage(own: Follower) -> None:
    """Writers are not kept waiting by the check, and what they change is not taken for damage."""
    pages: list[int] = []

    def save() -> None:
        pages.append(1)
        if len(pages) <= 3:
            with writing(own.engine) as session:
                change = PendingChange("unit/four", "put", make_unit(name={"en": f"Desk, {len(pages)} times"}))
                publish(session, own.node.identity, [change], own.now)

    assert find_damage(own.engine, own.now, save) == []
    assert len(pages) > 3
    own.check_logs()


def test_a_check_is_given_up_where_the_process_is_to_stop(own: Follower) -> None:
    own.node.stop()
    with pytest.raises(StoppedError):
        mend(own)


def test_an_entry_that_no_peer_holds_is_named(own: Follower, network: SimulatedNetwork) -> None:
    network.nodes["https://hr.example"].relayed["ME"].roll_back_to(3)
    damage(own, "UPDATE entry SET payload = :b WHERE participant = 'ME' AND seq = 4", b=b"{}")
    (finding,) = mend(own).remaining
    assert (finding.participant, finding.what, finding.place) == ("ME", "digest", 4)


def test_an_overdue_payload_is_erased(own: Follower) -> None:
    own.now += dt.timedelta(hours=2)
    assert [finding.what for finding in find_damage(own.engine, own.now)] == ["erasure"]
    assert mend(own).remaining == []


def stored(engine: sa.Engine, seq: int, participant: str = "RS") -> Entry:
    with reading(engine) as session:
        row = session.execute(
            sa.text("SELECT header, payload FROM entry WHERE participant = :p AND seq = :s"),
            {"p": participant, "s": seq},
        ).one()
    return Entry(bytes(row.header), None if row.payload is None else bytes(row.payload))


def test_what_is_saved_while_a_head_is_set_right_is_not_lost(follower: Follower, engine: sa.Engine) -> None:
    damage(follower, "DELETE FROM seen_checkpoint WHERE participant = 'ME'")
    with ThreadPoolExecutor(1) as pool, writing(engine) as session:
        change = PendingChange("unit/spoc", "put", make_unit())
        saved = publish(session, follower.node.identity, [change], follower.now)
        repaired = pool.submit(mend, follower)
        if engine.dialect.name == "postgresql":
            eventually(lambda: somebody_waits(engine))
        session.commit()
        assert repaired.result(timeout=60).remaining == []
    head = follower.head("ME")
    assert (head.size, head.checkpoint) == (saved.size, saved.token)
    follower.check_logs()


def somebody_waits(engine: sa.Engine) -> bool:
    """Whether a transaction waits for another's lock."""
    with engine.connect() as connection:
        return bool(connection.execute(sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")).scalar_one())
