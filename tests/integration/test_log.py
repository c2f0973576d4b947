"""Logs in the database: appended by compare-and-swap, proven, erased, and shown by what their last entries say."""

import datetime as dt
import json
import threading
import tracemalloc
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from directory.store import changed_since, load_record, load_records, load_skipped, read_counters
from federation.checkpoint import Checkpoint, make_checkpoint
from federation.encoding import b64url_encode, dump_json
from federation.entries import Entry, make_delete, make_put, payload_digest
from federation.errors import ConcurrentAppendError, FederationError, LogIntegrityError, NotHeldError
from federation.head import Head
from federation.log import (
    append_entries,
    compute_frontier,
    create_log,
    erase_superseded,
    load_head,
    load_heads,
    load_seen_root,
    mark_disputed,
    read_entries,
    read_leaves,
    read_page,
    reset_log,
    touch_head,
)
from federation.merkle import EMPTY_ROOT, Frontier, inclusion_path, leaf_hash, verify_inclusion
from federation.projection import rebuild
from tests.unit.federation.samples import DAY, HOUR, NOW, SECOND, identity, unit

ME = identity("ME")


def append(
    engine: sa.Engine, entries: Sequence[Entry], now: dt.datetime = NOW, own: bool = False, **options: Any
) -> Head:
    """Append honest entries to ME's log with a checkpoint over them."""
    with writing(engine) as session:
        head = create_log(session, "ME", own)
        return grow(session, head, entries, now, **options)


def grow(session: Any, head: Head, entries: Sequence[Entry], now: dt.datetime = NOW, **options: Any) -> Head:
    frontier = head.frontier.extend(leaf_hash(entry.header) for entry in entries)
    return append_entries(session, head, entries, frontier, checkpoint_over(frontier, now), now, **options)


def checkpoint_over(frontier: Frontier, now: dt.datetime = NOW) -> Checkpoint:
    return make_checkpoint(ME, frontier.size, frontier.root(), now)


def put(seq: int, slug: str = "spoc", name: str = "Duty desk", **members: object) -> Entry:
    return make_put(seq, f"unit/{slug}", unit(name, **members), NOW)


def crafted(payload: bytes | None = None, **members: object) -> Entry:
    """An entry with any header members, its payload rightly covered."""
    header = {"seq": 0, "record": "unit/spoc", "op": "put", "at": "2026-11-21T20:00:00Z"}
    if payload is not None:
        header["digest"] = b64url_encode(payload_digest(payload))
    return Entry(dump_json({name: value for name, value in (header | members).items() if value is not ...}), payload)


def salted(data: object, salt: str = "AAAAAAAAAAAAAAAAAAAAAA") -> bytes:
    return dump_json({"salt": salt, "data": data})


def payloads(engine: sa.Engine) -> list[bytes | None]:
    with reading(engine) as session:
        head = load_head(session, "ME")
        assert head is not None
        return [entry.payload for entry in read_entries(session, "ME", 0, head.size)]


def test_an_empty_log_has_the_empty_root_and_no_page(engine: sa.Engine) -> None:
    with writing(engine) as session:
        head = create_log(session, "ME", own=True)
        assert create_log(session, "ME", own=True) == head
        with pytest.raises(ConcurrentAppendError, match="own"):
            create_log(session, "ME", own=False)
    with reading(engine) as session:
        assert load_head(session, "ME") == head
        assert (head.size, head.root, head.checkpoint) == (0, EMPTY_ROOT, None)
        with pytest.raises(NotHeldError, match="out_of_range"):
            read_page(session, "ME", 0)


@pytest.mark.parametrize("own", [False, True])
def test_entries_are_kept_byte_for_byte(engine: sa.Engine, own: bool) -> None:
    entries = [put(0), make_delete(1, "unit/other", NOW), put(2, "third", "Преш/ево <script> \u2028")]
    head = append(engine, entries, own=own)
    with reading(engine) as session:
        assert load_head(session, "ME") == head
        assert load_heads(session) == [head]
        assert read_entries(session, "ME", 0, 99) == entries
        assert read_page(session, "ME", 1) == entries[1:]
        assert load_seen_root(session, "ME", 3) == head.root
        assert load_seen_root(session, "ME", 2) is None
        assert compute_frontier(session, "ME", 3) == head.frontier


@pytest.mark.parametrize(
    ("participant", "start", "code"),
    [("RS", 0, "not_found"), ("ME", 2, "out_of_range"), ("ME", 99, "out_of_range"), ("ME", -1, "out_of_range")],
)
def test_what_is_not_held_is_said(engine: sa.Engine, participant: str, start: int, code: str) -> None:
    append(engine, [put(0), put(1, "b")])
    with reading(engine) as session, pytest.raises(NotHeldError) as refusal:
        read_page(session, participant, start)
    assert refusal.value.code == code


def test_pages_end_at_multiples_of_256(engine: sa.Engine) -> None:
    append(engine, [put(seq, f"u{seq}") for seq in range(300)])
    with reading(engine) as session:
        assert [len(read_page(session, "ME", start)) for start in (0, 100, 255, 256, 299)] == [256, 156, 1, 44, 1]
        leaves = list(read_leaves(session, "ME", 280))
        assert len(leaves) == 280
        root = compute_frontier(session, "ME", 280).root()
        verify_inclusion(leaves[57], 57, 280, inclusion_path(leaves, 57), root)
        with pytest.raises(NotHeldError, match="300 are held"):
            compute_frontier(session, "ME", 301)


def state(engine: sa.Engine) -> Any:
    """All that must survive a refusal."""
    with reading(engine) as session:
        tables = ("log", "entry", "seen_checkpoint", "record", "skipped", "counter")
        return [session.execute(sa.text(f"SELECT * FROM {table} ORDER BY 1, 2")).all() for table in tables]


def lie(entries: list[Entry], place: int, entry: Entry | None) -> list[Entry]:
    return [entry if number == place else honest for number, honest in enumerate(entries) if number != place or entry]


MORE = [put(seq, f"u{seq}") for seq in range(2, 12)]


@pytest.mark.parametrize(
    "served",
    [
        pytest.param(lie(MORE, 4, Entry(MORE[4].header.replace(b"20:00", b"20:01"), MORE[4].payload)), id="altered"),
        pytest.param([*MORE[:4], MORE[5], MORE[4], *MORE[6:]], id="swapped"),
        pytest.param([*MORE[:5], MORE[4], *MORE[5:9]], id="one twice, the last dropped"),
        pytest.param(MORE[:9], id="one less"),
        pytest.param([*MORE, put(12, "u12")], id="one more"),
        pytest.param([], id="none"),
        pytest.param(
            [Entry(leaf_hash(MORE[0].header) + leaf_hash(MORE[1].header), None), *MORE[2:]], id="a node as leaf"
        ),
    ],
)
def test_entries_that_miss_the_root_leave_nothing_behind(engine: sa.Engine, served: list[Entry]) -> None:
    held = append(engine, [put(0), put(1, "b")])
    before = state(engine)
    frontier = held.frontier.extend(leaf_hash(entry.header) for entry in MORE)
    with pytest.raises(LogIntegrityError) as refusal, writing(engine) as session:
        append_entries(session, held, served, frontier, checkpoint_over(frontier), NOW)
    assert refusal.value.code == "root_mismatch"
    assert state(engine) == before
    with writing(engine) as session:
        assert grow(session, held, MORE).size == 12


def test_a_checkpoint_that_is_not_the_frontiers_is_refused(engine: sa.Engine) -> None:
    head = append(engine, [put(0)])
    frontier = head.frontier.extend(leaf_hash(entry.header) for entry in MORE)
    other = make_checkpoint(ME, frontier.size, b"\x01" * 32, NOW)
    with pytest.raises(LogIntegrityError, match="root_mismatch"), writing(engine) as session:
        append_entries(session, head, MORE, frontier, other, NOW)


def test_a_writer_that_read_an_old_head_loses_and_writes_nothing(engine: sa.Engine) -> None:
    old = append(engine, [put(0)])
    append(engine, [])
    with writing(engine) as session:
        grow(session, old, [put(1, "b")])
    before = state(engine)
    with pytest.raises(ConcurrentAppendError), writing(engine) as session:
        grow(session, old, [put(1, "late")])
    assert state(engine) == before


def test_of_two_processes_that_append_at_once_one_wins(engine: sa.Engine) -> None:
    head = append(engine, [put(0)], own=True)
    start, results = threading.Barrier(4), []

    def write(number: int) -> None:
        start.wait(10)
        try:
            with writing(engine) as session:
                grow(session, head, [put(1, f"by-{number}")])
            results.append("won")
        except ConcurrentAppendError:
            results.append("lost")

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(results) == ["lost", "lost", "lost", "won"]
    with reading(engine) as session:
        moved = load_head(session, "ME")
        assert moved is not None
        assert compute_frontier(session, "ME", 2) == moved.frontier


def test_never_two_roots_for_one_size(engine: sa.Engine) -> None:
    """A database that was restored from a backup signs another entry 1: its own memory of the first root refuses it."""
    old = append(engine, [put(0)], own=True)
    with writing(engine) as session:
        grow(session, old, [put(1, "b")])
    with writing(engine) as session:
        session.execute(sa.text("DELETE FROM entry WHERE seq = 1"))
        values = {"root": old.root, "frontier": old.frontier.to_bytes()}
        session.execute(sa.text("UPDATE log SET size = 1, root = :root, frontier = :frontier"), values)
    with pytest.raises(LogIntegrityError) as refusal, writing(engine) as session:
        grow(session, old, [put(1, "c")])
    assert refusal.value.code == "fork"


@pytest.mark.parametrize(
    "next_entry", [put(1, name="New name"), make_delete(1, "unit/spoc", NOW)], ids=["put", "delete"]
)
def test_a_follower_erases_what_is_superseded_at_once(engine: sa.Engine, next_entry: Entry) -> None:
    append(engine, [put(0)])
    append(engine, [next_entry])
    assert payloads(engine) == [None, next_entry.payload]


@pytest.mark.parametrize(
    "next_entry", [put(1, name="New name"), make_delete(1, "unit/spoc", NOW)], ids=["put", "delete"]
)
def test_the_origin_keeps_what_is_superseded_for_an_hour(engine: sa.Engine, next_entry: Entry) -> None:
    first = put(0)
    append(engine, [first], own=True)
    append(engine, [next_entry], NOW + DAY, own=True)
    for late, erased in ((HOUR - SECOND, 0), (HOUR, 1), (HOUR, 0)):
        with writing(engine) as session:
            assert erase_superseded(session, NOW + DAY + late) == erased
        assert payloads(engine)[0] == (None if late == HOUR else first.payload)
    assert payloads(engine)[1] == next_entry.payload


@pytest.mark.parametrize("own", [False, True])
def test_what_is_superseded_within_one_append_is_handled_alike(engine: sa.Engine, own: bool) -> None:
    entries = [put(0), put(1, name="b"), put(2, "other"), put(3, name="c"), make_delete(4, "unit/other", NOW)]
    append(engine, entries, own=own)
    kept = [entry.payload for entry in entries] if own else [None, None, None, entries[3].payload, None]
    assert payloads(engine) == kept
    with writing(engine) as session:
        assert erase_superseded(session, NOW + HOUR) == (3 if own else 0)
    assert payloads(engine) == [None, None, None, entries[3].payload, None]


@pytest.mark.parametrize("own", [False, True])
def test_erased_logs_still_verify_and_still_grow(engine: sa.Engine, own: bool) -> None:
    append(engine, [put(0), put(1, name="b")], own=own)
    with writing(engine) as session:
        erase_superseded(session, NOW + DAY)
    head = append(engine, [put(2, name="c")], own=own)
    with reading(engine) as session:
        assert compute_frontier(session, "ME", 3) == head.frontier


def test_an_erased_payload_says_nothing(engine: sa.Engine) -> None:
    """A follower that comes late gets the headers of superseded entries without their payloads."""
    append(engine, [replace(put(0), payload=None), put(1, name="Now")])
    with reading(engine) as session:
        record = load_record(session, "ME", "unit/spoc")
        assert record is not None
        assert (record.seq, record.data["name"], load_skipped(session, "ME")) == (1, {"en": "Now"}, [])


def test_the_read_model_says_what_the_last_entries_say(engine: sa.Engine) -> None:
    append(engine, [put(0), put(1, "gone"), put(2, "other", "Other")])
    append(engine, [put(3, name="Renamed"), make_delete(4, "unit/gone", NOW)])
    with reading(engine) as session:
        assert {record.record: record.data["name"]["en"] for record in load_records(session)} == {
            "unit/spoc": "Renamed",
            "unit/other": "Other",
        }
        gone = load_record(session, "ME", "unit/gone")
        assert gone is not None
        assert (gone.state, gone.seq, gone.data) == ("deleted", 4, {})


def test_two_participants_may_use_one_record_id(engine: sa.Engine) -> None:
    append(engine, [put(0, name="of ME")])
    with writing(engine) as session:
        other = create_log(session, "RS", own=False)
        frontier = other.frontier.append(leaf_hash(put(0).header))
        entry = put(0, name="of RS")
        frontier = other.frontier.append(leaf_hash(entry.header))
        checkpoint = make_checkpoint(identity("RS"), 1, frontier.root(), NOW)
        append_entries(session, other, [entry], frontier, checkpoint, NOW)
    with reading(engine) as session:
        assert [record.data["name"]["en"] for record in load_records(session)] == ["of ME", "of RS"]


BAD = [
    pytest.param(crafted(salted(unit()), seq=7), "bad_entry", "unreadable", id="another seq"),
    pytest.param(crafted(salted(unit()), seq="0"), "bad_entry", None, id="seq as a text"),
    pytest.param(crafted(salted(unit()), extra=1), "bad_entry", None, id="a header member more"),
    pytest.param(Entry(b"\xd0\x9f not json", None), "bad_entry", None, id="a header that is no JSON"),
    pytest.param(crafted(salted(unit()), op="merge"), "bad_entry", "unreadable", id="an op of a newer version"),
    pytest.param(crafted(salted({}), record="drone/x"), "bad_entry", "unknown", id="a type of a newer version"),
    pytest.param(crafted(salted(unit()), record="unit/BB-1"), "bad_entry", None, id="a slug in capitals"),
    pytest.param(crafted(salted(unit()), record="unit/bb\u20111"), "bad_entry", None, id="a slug with a look-alike"),
    pytest.param(crafted(salted(unit(), "AAAA")), "bad_entry", "unreadable", id="a short salt"),
    pytest.param(crafted(salted([])), "bad_entry", "unreadable", id="a record that is a list"),
    pytest.param(crafted(b"\xd0\x9f"), "bad_entry", "unreadable", id="a payload that is no JSON"),
    pytest.param(crafted(b'{"salt":"x","salt":"y","data":{}}'), "bad_entry", "unreadable", id="a member twice"),
    pytest.param(crafted(salted({"kind": "spoc"})), "bad_entry", "unreadable", id="no such unit"),
    pytest.param(crafted(salted(unit("a\u202eb"))), "bad_entry", "unreadable", id="a name that turns the text"),
    pytest.param(crafted(salted(unit("a\u200bb"))), "bad_entry", "unreadable", id="a zero-width space"),
    pytest.param(
        crafted(salted(unit("a\r\nBcc: x@y.example"))), "bad_entry", "unreadable", id="a line break in a name"
    ),
    pytest.param(
        crafted(b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":{"name":{"en":"\\u0000"}}}'),
        "bad_entry",
        "unreadable",
        id="NUL",
    ),
    pytest.param(
        crafted(salted({"country": "RS"}), record="participant/self"),
        "wrong_participant",
        "unreadable",
        id="another code",
    ),
    pytest.param(
        crafted(salted({"organisation": "SELEC"}), record="participant/self"),
        "wrong_participant",
        "unreadable",
        id="another organisation",
    ),
]


@pytest.mark.parametrize(("bad", "code", "shown"), BAD)
def test_one_bad_record_poisons_nothing_else(engine: sa.Engine, bad: Entry, code: str, shown: str | None) -> None:
    """It stays in the log, is passed on byte for byte, and is listed; the good one after it is shown."""
    head = append(engine, [bad, put(1, "good")])
    with reading(engine) as session:
        assert read_entries(session, "ME", 0, 1) == [bad]
        assert [(entry.seq, entry.code) for entry in load_skipped(session, "ME")] == [(0, code)]
        assert [record.record for record in load_records(session)] == ["unit/good"]
        states = [record.state for record in changed_since(session, 0) if record.record != "unit/good"]
        assert states == ([] if shown is None else [shown])
        assert compute_frontier(session, "ME", 2) == head.frontier


def test_a_bad_entry_hides_the_good_one_that_it_supersedes(engine: sa.Engine) -> None:
    append(engine, [put(0)])
    append(engine, [crafted(salted({}), seq=1)])
    with reading(engine) as session:
        record = load_record(session, "ME", "unit/spoc")
        assert record is not None
        assert (record.state, record.data) == ("unreadable", {})
    assert payloads(engine)[0] is None


def test_a_malformed_header_supersedes_nothing(engine: sa.Engine) -> None:
    append(engine, [put(0)])
    append(engine, [crafted(None, seq=1, op="delete", extra=1)])
    with reading(engine) as session:
        record = load_record(session, "ME", "unit/spoc")
        assert record is not None
        assert record.state == "live"
    assert payloads(engine)[0] is not None


def test_a_corrected_record_is_no_longer_listed_as_skipped(engine: sa.Engine) -> None:
    append(engine, [crafted(salted({})), Entry(b"never readable", None)])
    append(engine, [put(2)])
    with reading(engine) as session:
        assert [entry.seq for entry in load_skipped(session, "ME")] == [1]


def test_unknown_members_are_kept(engine: sa.Engine) -> None:
    append(engine, [put(0, new_member={"a": [1, "ж"]})])
    with reading(engine) as session:
        record = load_record(session, "ME", "unit/spoc")
        assert record is not None
        assert record.data["new_member"] == {"a": [1, "ж"]}


def test_a_rebuild_gives_the_same_read_model(engine: sa.Engine) -> None:
    bad = [parameters.values[0] for parameters in BAD]
    append(engine, [*bad, *[put(len(bad) + place, f"u{place % 7}", f"name {place}") for place in range(20)]])
    append(engine, [make_delete(len(bad) + 20, "unit/u3", NOW)])

    def shown() -> Any:
        with reading(engine) as session:
            records = [(r.record, r.seq, r.state, r.data) for r in changed_since(session, 0) if r.seq >= 0]
            return sorted(records, key=lambda record: record[0]), load_skipped(session, "ME")

    before = shown()
    with writing(engine) as session:
        assert rebuild(session) == 1
    assert shown() == before


@pytest.mark.parametrize("from_origin", [True, False])
def test_only_the_origin_proves_that_a_head_is_the_newest(engine: sa.Engine, from_origin: bool) -> None:
    head = append(engine, [put(0)], from_origin=from_origin)
    assert head.checked_at == (NOW if from_origin else None)
    later = NOW + HOUR
    with writing(engine) as session:
        touch_head(session, "ME", checkpoint_over(head.frontier, later), later, from_origin=from_origin)
        touched = load_head(session, "ME")
    assert touched is not None
    assert (touched.issued_at, touched.expires_at) == (later, later + 48 * HOUR)
    assert touched.checked_at == (later if from_origin else None)


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(lambda head: checkpoint_over(head.frontier, NOW - SECOND), id="an older iat"),
        pytest.param(lambda head: make_checkpoint(ME, 1, b"\x01" * 32, NOW), id="another root"),
        pytest.param(lambda head: make_checkpoint(ME, 2, head.root, NOW), id="another size"),
    ],
)
def test_a_head_is_touched_only_by_its_own_checkpoint(engine: sa.Engine, other: Any) -> None:
    head = append(engine, [put(0)])
    before = state(engine)
    with pytest.raises(ConcurrentAppendError), writing(engine) as session:
        touch_head(session, "ME", other(head), NOW)
    assert state(engine) == before


def test_a_dispute_is_kept_until_it_is_decided(engine: sa.Engine) -> None:
    append(engine, [put(0)])
    for offered in ("the other checkpoint", None):
        with writing(engine) as session:
            mark_disputed(session, "ME", offered)
        with reading(engine) as session:
            head = load_head(session, "ME")
            assert head is not None
            assert head.disputed == offered
    with pytest.raises(NotHeldError), writing(engine) as session:
        mark_disputed(session, "RS", "x")


def test_an_accepted_other_history_begins_at_nothing(engine: sa.Engine) -> None:
    append(engine, [put(0), put(1, "b")])
    with writing(engine) as session:
        head = reset_log(session, "ME")
        grow(session, head, [put(0, "c")], NOW + SECOND)
    with reading(engine) as session:
        assert [record.record for record in load_records(session)] == ["unit/c"]
        assert load_seen_root(session, "ME", 2) is None


@pytest.mark.parametrize("act", ["create", "append", "touch", "dispute"])
def test_caches_learn_of_every_change(engine: sa.Engine, act: str) -> None:
    head = append(engine, [put(0)])
    with reading(engine) as session:
        before = read_counters(session)
    with writing(engine) as session:
        match act:
            case "create":
                create_log(session, "RS", own=False)
            case "append":
                grow(session, head, [put(1)])
            case "touch":
                touch_head(session, "ME", checkpoint_over(head.frontier, NOW + SECOND), NOW)
            case _:
                mark_disputed(session, "ME", "x")
        after = read_counters(session)
    assert after["federation"] > before["federation"]
    assert (after["directory"] > before["directory"]) == (act == "append")


def test_a_night_of_tiny_entries_needs_little_memory(engine: sa.Engine) -> None:
    """5,000 deletions are streamed: never more than a chunk of them is in memory."""
    count = 5_000

    def tiny() -> Iterator[Entry]:
        return (make_delete(seq, f"unit/u{seq}", NOW) for seq in range(count))

    frontier = Frontier().extend(leaf_hash(entry.header) for entry in tiny())
    with writing(engine) as session:
        head = create_log(session, "ME", own=False)
        tracemalloc.start()
        append_entries(session, head, tiny(), frontier, checkpoint_over(frontier), NOW)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak < 8 * 2**20
    with reading(engine) as session:
        assert session.scalar(sa.text("SELECT count(*) FROM entry")) == count


def test_a_payload_of_64_kib_and_depth_are_bounded(engine: sa.Engine) -> None:
    deep = crafted(b'{"salt":"AAAAAAAAAAAAAAAAAAAAAA","data":' + b'{"a":' * 9000 + b"1" + b"}" * 9001)
    append(engine, [deep, put(1, "good", note="x" * 1000)])
    with reading(engine) as session:
        assert [entry.code for entry in load_skipped(session, "ME")] == ["bad_entry"]
    with pytest.raises(FederationError, match="too_large"):
        put(2, note="x" * 70_000)
    assert json.loads(deep.header)["op"] == "put"


def test_several_may_begin_one_log_at_once(engine: sa.Engine) -> None:
    barrier = threading.Barrier(4)

    def begin(_: int) -> Head:
        barrier.wait(10)
        with writing(engine) as session:
            return create_log(session, "RS", own=False)

    with ThreadPoolExecutor(4) as pool:
        heads = list(pool.map(begin, range(4)))
    assert [head.size for head in heads] == [0, 0, 0, 0]
