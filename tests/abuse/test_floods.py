"""E14 and T15: more than a run may fetch, and more hostile peers than there are threads."""

import json
import subprocess
import sys
from pathlib import Path

from sync.transport import Limits
from tests.abuse.attacked import HELD, MIB, MINUTE, Attacked, peak_memory_at_most, relay
from tests.abuse.crowd import Crowd

PAGE = 256


def test_e14_more_entries_than_a_run_fetches(stored: Attacked, tmp_path: Path) -> None:
    """Pages wait unapplied on disk; the run says so; the next ones go on; at the signed root all is applied at once."""
    night = stored.follower.limited(spool=tmp_path / "spool", run_entries=4 * PAGE, memory_bytes=1000)
    flood = stored.impostor()
    flood.grow(10 * PAGE)
    kept = []
    for _ in range(2):
        stored.network.forget_requests()
        stored.follower.pass_time(MINUTE)
        flood.checkpoint_token = flood.checkpoint_token or flood.served_checkpoint()
        with stored.holding("too_large"), peak_memory_at_most(32 * MIB):
            night.now = stored.now
            results = night.pull_all()
        assert {code: each.result for code, each in results.items()} == {"RS": "too_large", "MK": "ok", "HR": "ok"}
        assert stored.network.asked("entries?start=") <= 5
        kept.append((tmp_path / "spool" / "RS.pages").stat().st_size)
    assert 0 < kept[0] < kept[1]
    night.now = stored.now
    assert night.pull("RS").result == "ok"
    stored.follower.check_holds(flood)
    assert list((tmp_path / "spool").iterdir()) == []
    flood.checkpoint_token = None
    stored.honest = flood


def test_more_bytes_than_a_run_fetches_or_than_are_kept(attacked: Attacked, tmp_path: Path) -> None:
    """Beside E14: bytes count as entries do, and what is kept between runs has an end."""
    flood = attacked.impostor()
    flood.grow(6 * PAGE)
    spool = tmp_path / "spool"
    by_bytes = attacked.follower.limited(spool=spool, run_bytes=60_000, memory_bytes=1000)
    assert by_bytes.pull("RS").result == "too_large"
    by_disk = attacked.follower.limited(spool=spool, spool_bytes=150_000, memory_bytes=1000)
    for _ in range(4):
        assert by_disk.pull("RS").result == "too_large"
        assert sum(path.stat().st_size for path in spool.iterdir()) <= 151_000  # with the marks between the pages
    assert attacked.follower.head("RS").size == HELD
    assert attacked.follower.limited(spool=spool, memory_bytes=1000).pull("RS").result == "ok"
    attacked.honest = flood


def test_pages_that_miss_the_root_are_all_dropped(attacked: Attacked, tmp_path: Path) -> None:
    """Beside E14: of a flood with one wrong entry nothing is kept, on disk or shown."""
    spool = tmp_path / "spool"
    night = attacked.follower.limited(spool=spool, run_entries=2 * PAGE, memory_bytes=1000)
    lying = attacked.impostor()
    lying.grow(4 * PAGE)
    lying.checkpoint_token = lying.served_checkpoint()
    lying.tamper_with_header(2 * PAGE + 5)
    with attacked.holding("root_mismatch"):
        assert [night.pull("RS").result for _ in range(2)] == ["too_large", "root_mismatch"]
    assert list(spool.iterdir()) == []


def test_x01_a_lie_at_the_very_end_of_what_a_run_may_fetch(attacked: Attacked) -> None:
    """Nothing more may be fetched when the lie shows: the relays that are asked next must not end the run of all."""
    lying = attacked.impostor()
    lying.grow(2 * PAGE - HELD % PAGE)
    lying.checkpoint_token = lying.served_checkpoint()
    lying.tamper_with_header(HELD + 5)
    for participant in ("MK", "HR"):
        relay(attacked, participant, lying)
    night = attacked.follower.limited(run_entries=lying.size - HELD, memory_bytes=1000)
    with attacked.holding("root_mismatch"):
        results = night.pull_all()
    assert {code: each.result for code, each in results.items()} == {"RS": "root_mismatch", "MK": "ok", "HR": "ok"}
    lying.page_lie = lying.checkpoint_token = None
    attacked.honest = lying


def test_the_limits_are_those_of_the_protocol() -> None:
    limits = Limits()
    assert (limits.run_entries, limits.run_bytes, limits.spool_bytes) == (2_000_000, 4 << 30, 32 << 30)
    assert (limits.page_bytes, limits.token_seconds, limits.page_seconds) == (40 << 20, 10, 60)


def test_t15_ten_hostile_of_fifty(tmp_path: Path) -> None:
    """Forty good peers are done within the budget of the run, whatever the other ten do; the node is a process."""
    with Crowd(tmp_path) as crowd:
        done = subprocess.run(
            [sys.executable, "-m", "tests.abuse.crowd", str(tmp_path), str(crowd.port)],
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
    told = json.loads(done.stdout)
    results = told["results"]
    assert [results[code] for code in crowd.good] == ["ok"] * 40
    assert {code: results[code] for code in crowd.expected if results[code] not in crowd.expected[code]} == {}
    assert told["seconds"] <= told["budget"]
    assert told["peak"] - told["idle"] <= 64 * MIB
    assert told["findings"] == []
