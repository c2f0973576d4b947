"""Following an honest origin: what is fetched, what is applied, what it costs."""

import datetime as dt
from pathlib import Path

import pytest
import sqlalchemy as sa

from federation.entries import Entry, make_put
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, SALT, SimulatedNode, duty_officer

HOUR = dt.timedelta(hours=1)


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def origin(network: SimulatedNetwork) -> SimulatedNode:
    return network.add("RS")


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork, origin: SimulatedNode) -> Follower:
    return make_follower(engine, network)


@pytest.mark.parametrize("size", [0, 1, 255, 256, 257, 600])
def test_first_pull_brings_the_whole_log(follower: Follower, origin: SimulatedNode, size: int) -> None:
    origin.grow(size)
    result = follower.pull_all()["RS"]
    assert (result.result, result.entries, result.size) == ("ok", size, size)
    assert len(follower.records("RS")) == size
    assert follower.state("RS") == "fresh"
    follower.check_holds(origin)


@pytest.mark.parametrize(("held", "more"), [(0, 1), (10, 10), (255, 1), (256, 1), (250, 20), (100, 500)])
def test_later_pull_brings_what_is_new(follower: Follower, origin: SimulatedNode, held: int, more: int) -> None:
    origin.grow(held)
    follower.pull_all()
    origin.grow(more)
    result = follower.pull("RS")
    assert (result.result, result.entries, result.size) == ("ok", more, held + more)
    follower.check_holds(origin)


def test_result_has_the_form_that_scripts_read(follower: Follower, origin: SimulatedNode) -> None:
    origin.grow(2)
    result = follower.pull_all()["RS"].to_json()
    assert list(result) == [
        "participant",
        "result",
        "detail",
        "from",
        "entries",
        "size",
        "bytes",
        "requests",
        "seconds",
    ]
    assert (result["participant"], result["result"], result["detail"]) == ("RS", "ok", None)
    assert (result["from"], result["entries"], result["size"], result["requests"]) == ("https://rs.example", 2, 2, 3)
    assert isinstance(result["bytes"], int)
    assert isinstance(result["seconds"], float)


def test_nothing_changed_costs_configuration_and_checkpoint(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    origin.grow(300)
    follower.pull_all()
    network.forget_requests()
    follower.pass_time(HOUR)
    result = follower.pull("RS")
    assert (result.result, result.entries, result.requests) == ("ok", 0, 2)
    assert [url for _, url in network.requests] == [
        "https://rs.example/.well-known/openid-federation",
        "https://rs.example/federation/v1/logs/RS/checkpoint",
    ]
    head = follower.head("RS")
    assert (head.issued_at, head.checked_at) == (follower.now, follower.now)


def test_delta_asks_for_one_page_from_the_held_size(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    origin.grow(100)
    follower.pull_all()
    origin.grow(10)
    network.forget_requests()
    follower.pull("RS")
    assert network.requests[-1][1].endswith("/federation/v1/logs/RS/entries?start=100")
    assert network.asked("/entries") == 1


def test_reads_are_signed_and_public_statements_are_not(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    origin.grow(300)
    follower.pull_all()
    bearers = dict(zip([url for _, url in network.requests], network.bearers, strict=True))
    signed = {url: bearer is not None for url, bearer in bearers.items()}
    assert {signed[url] for url in signed if "/logs/" in url} == {True}
    assert {signed[url] for url in signed if "/logs/" not in url} == {False}


def test_changed_and_deleted_records_are_shown_as_they_are_now(follower: Follower, origin: SimulatedNode) -> None:
    origin.grow(5)
    follower.pull_all()
    origin.publish("member/m-1", duty_officer(77))
    origin.delete("member/m-2")
    origin.publish("member/m-1", duty_officer(78))
    assert follower.pull("RS").entries == 3
    records = follower.records("RS")
    assert records["member/m-1"] == duty_officer(78)
    assert "member/m-2" not in records
    follower.check_holds(origin)


def test_log_with_erased_payloads_is_followed_from_the_start(follower: Follower, origin: SimulatedNode) -> None:
    origin.grow(300)
    for number in range(40):
        origin.publish(f"member/m-{number}", duty_officer(number + 1000))
    origin.delete("member/m-50")
    assert origin.entries[0].payload is None
    assert follower.pull_all()["RS"].result == "ok"
    assert len(follower.records("RS")) == 299
    follower.check_holds(origin)


def test_record_superseded_during_the_pull_is_no_withholding(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    """The payload was erased between checkpoint and page: the newest checkpoint explains it."""
    origin.grow(20)

    def publish_meanwhile(url: str) -> None:
        del network.faults["/entries"]
        origin.publish("member/m-7", duty_officer(700))

    network.faults["/entries"] = publish_meanwhile  # type: ignore[assignment]
    result = follower.pull_all()["RS"]
    assert (result.result, result.entries) == ("ok", 21)
    assert follower.records("RS")["member/m-7"] == duty_officer(700)
    follower.check_holds(origin)


def test_record_superseded_again_and_again_is_chased_as_long_as_the_log_grows(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    origin.grow(20)
    changes = iter(range(5))

    def publish_meanwhile(url: str) -> None:
        number = next(changes, None)
        if number is not None:
            origin.publish("member/m-7", duty_officer(700 + number))

    network.faults["/entries"] = publish_meanwhile  # type: ignore[assignment]
    assert follower.pull_all()["RS"].size == 25
    assert follower.records("RS")["member/m-7"] == duty_officer(704)
    follower.check_holds(origin)


def test_chase_ends_somewhere(follower: Follower, network: SimulatedNetwork, origin: SimulatedNode) -> None:
    """An origin that grows for ever and never shows a payload does not hold a run for ever."""
    origin.grow(20)
    network.faults["/entries"] = lambda url: origin.publish("member/m-7")  # type: ignore[func-returns-value]
    result = follower.limited(chase_rounds=3).pull_all()["RS"]
    assert result.result == "withheld_payload"
    assert result.requests == 2 + 4 + 3  # configuration and checkpoint, four pages, three newer checkpoints


ODD_ENTRIES = {
    "E11 unknown type": (b'{"seq":1,"record":"vehicle/v-1","op":"put","at":"2026-11-21T20:00:00Z","digest":"%s"}', 1),
    "header is no object": (b"[1,2]", 1),
    "header is no JSON": (b"not json", 1),
    "header with another seq": (
        b'{"seq":7,"record":"member/m-1","op":"put","at":"2026-11-21T20:00:00Z","digest":"%s"}',
        1,
    ),
    "header with an unknown op": (b'{"seq":1,"record":"member/m-1","op":"move","at":"2026-11-21T20:00:00Z"}', 1),
}


@pytest.mark.parametrize(("header", "skipped"), ODD_ENTRIES.values(), ids=ODD_ENTRIES)
def test_odd_entry_under_a_proven_root_is_skipped_and_poisons_nothing(
    follower: Follower, origin: SimulatedNode, header: bytes, skipped: int
) -> None:
    origin.grow(1)
    with_payload = make_put(1, "member/m-1", duty_officer(), NOW, SALT)
    digest = with_payload.header.split(b'"digest":"')[1].rstrip(b'"}')
    needs_payload = b"%s" in header
    origin.entries.append(Entry(header.replace(b"%s", digest), with_payload.payload if needs_payload else None))
    origin.grow(1, start=5)
    result = follower.pull_all()["RS"]
    assert (result.result, result.entries) == ("ok", 3)
    assert len(follower.skipped("RS")) == skipped
    assert sorted(follower.records("RS")) == ["member/m-0", "member/m-5"]
    follower.check_holds(origin)


def test_another_participants_code_in_a_record_is_skipped(follower: Follower, origin: SimulatedNode) -> None:
    origin.publish("participant/self", {"country": "MK", "names": {"en": "x"}})
    origin.grow(1)
    assert follower.pull_all()["RS"].result == "ok"
    assert list(follower.skipped("RS")) == [0]


def test_same_record_id_of_two_participants_stays_two_records(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    """E02: ids live in the namespace of their participant."""
    origin.publish("member/m-1", duty_officer(1))
    network.add("MK").publish("member/m-1", duty_officer(2))
    follower.pull_all()
    assert follower.records("RS") == {"member/m-1": duty_officer(1)}
    assert follower.records("MK") == {"member/m-1": duty_officer(2)}


def test_page_that_is_short_once_is_asked_for_again(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode
) -> None:
    """C16, T08: bounded retry."""
    origin.grow(10)
    shown = [0]

    def short_once(start: int, entries: list[Entry]) -> list[Entry]:
        shown[0] += 1
        return entries[:9] if shown[0] == 1 else entries

    origin.page_lie = short_once
    assert follower.pull_all()["RS"].result == "ok"
    assert network.asked("/entries") == 2


@pytest.mark.parametrize("code", ["unreachable", "bad_range"])
def test_connection_that_breaks_once_is_tried_again(
    follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, code: str
) -> None:
    origin.grow(300)
    for part in ("/checkpoint", "/entries?start=0", "/entries?start=256"):
        network.fail(part, code, times=1)
    assert follower.pull_all()["RS"].result == "ok"
    follower.check_holds(origin)


def test_clock_is_read_once_per_run(follower: Follower, network: SimulatedNetwork, origin: SimulatedNode) -> None:
    """F12: a clock that jumps during the run changes nothing in it."""
    origin.grow(3)
    network.faults["/entries"] = lambda url: setattr(follower, "now", NOW + dt.timedelta(days=1))  # type: ignore[func-returns-value]
    assert follower.pull_all()["RS"].result == "ok"
    assert follower.head("RS").checked_at == NOW


@pytest.mark.parametrize("days", [1, -1])
def test_clock_that_was_wrong_heals_with_the_clock(follower: Follower, origin: SimulatedNode, days: int) -> None:
    """F12: a day ahead or behind at one run; what is stored is what the origin signed, not what this clock said."""
    origin.grow(3)
    follower.pull_all()
    right = follower.now
    follower.now += dt.timedelta(days=days)
    follower.pull("RS")
    follower.now = right + HOUR
    origin.now = right + HOUR
    origin.grow(1)
    assert follower.pull("RS").result == "ok"
    assert follower.head("RS").issued_at == origin.now


class TestLimits:
    """A run fetches so much and no more; the next one goes on (abuse.md E14)."""

    def test_run_stops_at_its_entries_and_the_next_goes_on(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, tmp_path: Path
    ) -> None:
        origin.grow(1500)
        limited = follower.limited(tmp_path / "spool", run_entries=512)
        results = [limited.pull_all()["RS"]]
        while results[-1].result == "too_large":
            assert (results[-1].size, follower.records("RS")) == (0, {})
            network.forget_requests()
            results.append(limited.pull("RS"))
            assert network.asked("/entries") <= 2
        assert [result.result for result in results] == ["too_large", "too_large", "ok"]
        assert results[-1].entries == 1500
        assert list((tmp_path / "spool").iterdir()) == []
        follower.check_holds(origin)

    def test_run_stops_at_its_bytes(self, follower: Follower, origin: SimulatedNode, tmp_path: Path) -> None:
        origin.grow(1500)
        limited = follower.limited(tmp_path / "spool", run_bytes=100_000)
        results = [limited.pull_all()["RS"].result, *(limited.pull("RS").result for _ in range(5))]
        assert results[0] == "too_large"
        assert "ok" in results
        follower.check_holds(origin)

    def test_others_finish_in_the_same_run(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, tmp_path: Path
    ) -> None:
        origin.grow(1500)
        network.add("MK").grow(3)
        results = follower.limited(tmp_path, run_entries=512).pull_all()
        assert (results["RS"].result, results["MK"].result) == ("too_large", "ok")

    def test_pages_kept_are_believed_no_more_than_a_peer(
        self, follower: Follower, network: SimulatedNetwork, origin: SimulatedNode, tmp_path: Path
    ) -> None:
        origin.grow(1500)
        limited = follower.limited(tmp_path, run_entries=512)
        limited.pull_all()
        kept = tmp_path / "RS.pages"
        kept.write_bytes(kept.read_bytes().replace(b"m-100", b"m-001"))
        results = [limited.pull("RS").result for _ in range(6)]
        assert "ok" in results
        follower.check_holds(origin)

    def test_pages_kept_are_dropped_when_the_log_moved_on(
        self, follower: Follower, origin: SimulatedNode, tmp_path: Path
    ) -> None:
        origin.grow(10)
        follower.pull_all()
        origin.grow(1500)
        limited = follower.limited(tmp_path, run_entries=512)
        assert limited.pull("RS").result == "too_large"
        assert follower.pull("RS").result == "ok"  # another process, with larger limits
        origin.grow(1)
        assert limited.pull("RS").result == "ok"
        assert list(tmp_path.glob("*.pages")) == []
        follower.check_holds(origin)

    def test_without_a_folder_nothing_is_kept(self, follower: Follower, origin: SimulatedNode) -> None:
        origin.grow(1500)
        limited = follower.limited(None, run_entries=512)
        assert [limited.pull_all()["RS"].result, limited.pull("RS").result] == ["too_large", "too_large"]

    def test_pages_go_through_a_file_where_they_are_many(
        self, follower: Follower, origin: SimulatedNode, tmp_path: Path
    ) -> None:
        origin.grow(1500)
        spool = tmp_path / "spool"
        result = follower.limited(spool, memory_bytes=50_000).pull_all()["RS"]
        assert (result.result, result.entries) == ("ok", 1500)
        assert list(spool.iterdir()) == []
        follower.check_holds(origin)
