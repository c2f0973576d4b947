"""The read model on SQLite and PostgreSQL: what applying entries leaves, in which order, under which versions."""

import datetime as dt
import threading
from collections.abc import Iterator
from typing import Any

import orjson
import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from directory.bulk import COPY_FROM
from directory.database import reading, writing
from directory.store import (
    CHUNK,
    COUNTERS,
    DELETED,
    LIVE,
    AppliedEntry,
    Record,
    Skipped,
    apply_entries,
    bump_counter,
    changed_since,
    drop_participant,
    ensure_counters,
    keep_rota_version,
    load_record,
    load_records,
    load_rota_versions,
    load_skipped,
    purge_rota_versions,
    read_counters,
)
from directory.tables import RecordRow
from tests.records import make_member, make_rota, make_unit

NOW = dt.datetime(2026, 11, 21, 20, 0, tzinfo=dt.UTC)


def put(seq: int, record: str, data: dict[str, Any] | None = None, **changes: Any) -> AppliedEntry:
    values = {"seq": seq, "record": record, "op": "put", "at": NOW, "data": data or {"n": seq}, "data_json": None}
    return AppliedEntry(**{**values, "state": LIVE, **changes})


def delete(seq: int, record: str) -> AppliedEntry:
    return AppliedEntry(seq, record, "delete", NOW, None, None, DELETED)


def apply(engine: sa.Engine, *entries: AppliedEntry, participant: str = "ME", skipped: tuple[Skipped, ...] = ()) -> int:
    with writing(engine) as session:
        return apply_entries(session, participant, entries, skipped)


def everything(engine: sa.Engine) -> list[Record]:
    with reading(engine) as session:
        return changed_since(session, 0)


def live(engine: sa.Engine, **filters: Any) -> list[str]:
    with reading(engine) as session:
        return [record.ref for record in load_records(session, **filters)]


def test_a_record_is_loaded_as_it_was_applied(engine: sa.Engine) -> None:
    unit = make_unit(note='Ђ 𝔘 " \\ \n', newer=[1.5, None, {"a": True}])
    version = apply(engine, put(7, "unit/me-spoc", unit))
    with reading(engine) as session:
        record = load_record(session, "ME", "unit/me-spoc")
    assert record == Record("ME", "unit/me-spoc", "unit", 7, NOW, unit, LIVE, version)
    assert (record.ref, record.slug) == ("ME:unit/me-spoc", "me-spoc")


def test_json_that_the_caller_has_already_is_stored_as_it_is(engine: sa.Engine) -> None:
    apply(engine, put(1, "unit/a", {"never": "looked at"}, data_json='{"a":  1}'))
    with reading(engine) as session:
        assert session.scalar(sa.select(RecordRow.data)) == '{"a":  1}'


def test_the_last_entry_of_a_record_counts(engine: sa.Engine) -> None:
    apply(engine, put(0, "unit/a"), put(1, "unit/b"), put(2, "unit/a"), delete(3, "unit/b"), put(4, "unit/c"))
    apply(engine, delete(5, "unit/c"), put(6, "unit/b"))
    found = {record.record: (record.seq, record.state, record.data) for record in everything(engine)}
    assert found == {
        "unit/a": (2, LIVE, {"n": 2}),
        "unit/b": (6, LIVE, {"n": 6}),
        "unit/c": (5, DELETED, {}),
    }
    assert live(engine) == ["ME:unit/a", "ME:unit/b"]


@pytest.mark.parametrize("state", ["unknown", "unreadable", DELETED])
def test_only_live_records_have_data(engine: sa.Engine, state: str) -> None:
    apply(engine, put(0, "newtype/a"))
    apply(engine, put(1, "newtype/a", state=state, data_json='{"hidden": 1}'))
    [record] = everything(engine)
    assert (record.state, record.data, record.type) == (state, {}, "newtype")
    assert live(engine) == []


def test_what_was_never_there_is_not_found(engine: sa.Engine) -> None:
    apply(engine, put(0, "unit/a"))
    with reading(engine) as session:
        assert load_record(session, "ME", "unit/b") is None
        assert load_record(session, "RS", "unit/a") is None
        assert load_records(session, participant="RS") == []
        assert load_skipped(session, "ME") == []
        assert load_rota_versions(session, "rota/a") == []


def test_participants_share_record_ids_without_meeting(engine: sa.Engine) -> None:
    apply(engine, put(0, "unit/a", {"of": "ME"}))
    apply(engine, put(0, "unit/a", {"of": "RS"}), participant="RS")
    apply(engine, delete(1, "unit/a"), participant="RS")
    assert live(engine) == ["ME:unit/a"]


def test_records_are_listed_by_participant_type_and_in_pages(engine: sa.Engine) -> None:
    names = ["member/a", "unit/a", "unit/b", "unit/c"]
    for participant in ("RS", "ME"):
        apply(engine, *(put(seq, name) for seq, name in enumerate(names)), participant=participant)
    everybody = [f"{participant}:{name}" for participant in ("ME", "RS") for name in names]
    assert live(engine) == everybody
    assert live(engine, participant="RS") == everybody[4:]
    assert live(engine, type="unit") == [ref for ref in everybody if ":unit/" in ref]
    assert live(engine, participant="ME", type="member") == ["ME:member/a"]
    pages, after = [], None
    with reading(engine) as session:
        while page := load_records(session, after=after, limit=3):
            pages.append([record.ref for record in page])
            after = (page[-1].participant, page[-1].record)
    assert pages == [everybody[:3], everybody[3:6], everybody[6:]]


def test_an_index_catches_up_in_steps_of_any_size(engine: sa.Engine) -> None:
    first = apply(engine, *(put(seq, f"unit/u{seq}") for seq in range(10)))
    second = apply(engine, put(10, "unit/u3"), delete(11, "unit/u4"))
    assert second > first
    for limit in (1, 3, 4, 100):
        seen: list[Record] = []
        with reading(engine) as session:
            while step := changed_since(session, seen[-1].version if seen else 0, limit):
                assert len(step) <= limit
                seen += step
        assert [record.record for record in seen][-2:] == ["unit/u3", "unit/u4"]
        assert sorted(record.record for record in seen) == [f"unit/u{number}" for number in range(10)]
    with reading(engine) as session:
        assert [record.record for record in changed_since(session, first)] == ["unit/u3", "unit/u4"]
        assert changed_since(session, second) == []


def test_the_counter_stands_at_the_last_version_given_out(engine: sa.Engine) -> None:
    for number, batch in enumerate([0, 1, 2, 5]):
        version = apply(engine, *(put(seq, f"unit/b{number}-{seq}") for seq in range(batch)))
        with reading(engine) as session:
            assert read_counters(session)["directory"] == version
        newest = max((record.version for record in everything(engine)), default=0)
        assert newest <= version
        if batch:
            assert newest == version
    versions = [record.version for record in everything(engine)]
    assert len(set(versions)) == len(versions)


@pytest.mark.parametrize("count", [COPY_FROM - 1, COPY_FROM, COPY_FROM + 1, 2 * CHUNK + 1])
def test_batches_of_any_size_are_applied_whole(engine: sa.Engine, count: int) -> None:
    def entries(shift: int) -> Iterator[AppliedEntry]:
        for seq in range(count):
            yield put(seq + shift, f"unit/u{seq}", {"text": "tab\there, back\\slash, \\N, {n}", "seq": seq + shift})

    for shift in (0, count):
        with writing(engine) as session:
            apply_entries(session, "ME", entries(shift))
        with reading(engine) as session:
            records = load_records(session)
        assert len(records) == count
        assert all(record.data["seq"] == record.seq and record.seq >= shift for record in records)
        assert records[0].data["text"] == "tab\there, back\\slash, \\N, {n}"


def test_a_record_that_comes_back_in_a_later_chunk_is_written_in_order(engine: sa.Engine) -> None:
    entries = [put(seq, f"unit/u{seq % 4}") for seq in range(CHUNK + 3)]
    apply(engine, *entries, skipped=tuple(skip(seq) for seq in range(CHUNK + 1)))
    newest = {entry.record: entry.seq for entry in entries}
    assert {record.record: record.seq for record in everything(engine)} == newest
    with reading(engine) as session:
        assert len(load_skipped(session, "ME")) == CHUNK + 1


def skip(seq: int, code: str = "bad_entry", record: str | None = "unit/x") -> Skipped:
    return Skipped(seq, record, code, f"expected something else at {seq}")


def test_skipped_entries_are_shown_in_the_order_of_the_log(engine: sa.Engine) -> None:
    apply(engine, skipped=(skip(9), skip(2, record=None), skip(2, code="too_large")))
    apply(engine, participant="RS", skipped=(skip(1),))
    apply(engine, skipped=(skip(9, code="malformed"),))
    with reading(engine) as session:
        assert load_skipped(session, "ME") == [skip(2, code="too_large"), skip(9, code="malformed")]


def test_a_batch_is_applied_whole_or_not_at_all(engine: sa.Engine) -> None:
    apply(engine, put(0, "unit/a"))
    before = everything(engine)

    def failing() -> Iterator[AppliedEntry]:
        yield from (put(seq, f"unit/u{seq}") for seq in range(CHUNK + 1))
        raise ValueError("the source broke off")

    with pytest.raises(ValueError, match="the source broke off"), writing(engine) as session:
        apply_entries(session, "ME", failing())
    assert everything(engine) == before
    with reading(engine) as session:
        assert read_counters(session)["directory"] == before[-1].version


@pytest.mark.parametrize("count", [1, COPY_FROM])
def test_naive_instants_are_refused(engine: sa.Engine, count: int) -> None:
    naive = [put(seq, f"unit/u{seq}", at=dt.datetime(2026, 1, 1)) for seq in range(count)]
    with pytest.raises((ValueError, sa.exc.StatementError), match="naive datetime"):
        apply(engine, *naive)
    assert everything(engine) == []


def test_a_dropped_participant_is_gone_and_every_index_learns_of_it(engine: sa.Engine) -> None:
    apply(engine, put(0, "unit/a"), put(1, "unit/b"), delete(2, "unit/b"), skipped=(skip(3),))
    seen = apply(engine, put(0, "unit/a"), participant="RS", skipped=(skip(1),))
    with writing(engine) as session:
        drop_participant(session, "ME")
    with reading(engine) as session:
        changed = changed_since(session, seen)
        assert sorted((record.ref, record.state, record.data) for record in changed) == [
            ("ME:unit/a", DELETED, {}),
            ("ME:unit/b", DELETED, {}),
        ]
        assert load_skipped(session, "ME") == []
        assert load_skipped(session, "RS") == [skip(1)]
    assert live(engine) == ["RS:unit/a"]
    apply(engine, put(0, "unit/a"))
    assert live(engine) == ["ME:unit/a", "RS:unit/a"]
    with writing(engine) as session:  # what was dropped before is not dropped again
        counted = read_counters(session)["directory"]
        drop_participant(session, "ME")
        drop_participant(session, "ME")
        assert [record.record for record in changed_since(session, counted)] == ["unit/a"]


@pytest.mark.parametrize("number", [CHUNK, CHUNK + 1])
def test_more_than_a_chunk_is_dropped_whole(engine: sa.Engine, number: int) -> None:
    apply(engine, *(put(seq, f"unit/u-{seq}") for seq in range(number)))
    with writing(engine) as session:
        drop_participant(session, "ME")
    assert live(engine) == []
    with reading(engine) as session:
        assert {record.seq for record in changed_since(session, 0)} == {-1}


def test_counters_begin_at_nothing_and_move_apart(engine: sa.Engine) -> None:
    with writing(engine) as session:
        assert read_counters(session) == dict.fromkeys(COUNTERS, 0)
        assert bump_counter(session, "federation") == 1
        ensure_counters(session)
        assert bump_counter(session, "federation", 5) == 6
        assert bump_counter(session, "own") == 1
    with reading(engine) as session:
        assert read_counters(session) == {"directory": 0, "federation": 6, "accounts": 0, "own": 1}
    with writing(engine) as session:
        ensure_counters(session)
        assert read_counters(session)["federation"] == 6


def test_writers_at_the_same_time_give_out_no_version_twice(engine: sa.Engine) -> None:
    ready = threading.Barrier(3)

    def work(participant: str) -> None:
        ready.wait()
        for step in range(5):
            apply(
                engine, *(put(step, f"unit/{participant.lower()}{step}-{n}") for n in range(3)), participant=participant
            )

    threads = [threading.Thread(target=work, args=(participant,)) for participant in ("ME", "RS", "MK")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    versions = [record.version for record in everything(engine)]
    assert versions == [*range(1, 46)]


def test_superseded_rotas_are_kept_newest_first_and_purged_by_age(engine: sa.Engine) -> None:
    day = dt.timedelta(days=1)
    with writing(engine) as session:
        for number in range(4):
            data = make_rota(name=f"version {number}")
            keep_rota_version(session, "rota/a", number, data, NOW + number * day, NOW + (number + 1) * day)
        keep_rota_version(session, "rota/b", 9, make_rota(), NOW, NOW + day)
    with reading(engine) as session:
        versions = load_rota_versions(session, "rota/a")
    assert [(version.seq, version.data["name"]) for version in versions] == [
        *((3, "version 3"), (2, "version 2"), (1, "version 1"), (0, "version 0")),
    ]
    assert (versions[0].published_at, versions[0].replaced_at) == (NOW + 3 * day, NOW + 4 * day)
    with writing(engine) as session:
        assert purge_rota_versions(session, NOW + 2 * day) == 2  # the first of a and that of b
        assert purge_rota_versions(session, NOW + 2 * day) == 0
        assert [version.seq for version in load_rota_versions(session, "rota/a")] == [3, 2, 1]
        assert load_rota_versions(session, "rota/b") == []


def test_a_naive_instant_is_refused_in_the_history(engine: sa.Engine) -> None:
    with pytest.raises(sa.exc.StatementError, match="naive datetime"), writing(engine) as session:
        keep_rota_version(session, "rota/a", 1, {}, NOW, dt.datetime(2026, 1, 1))


records = st.sampled_from(["unit/a", "unit/b", "member/a"])
steps = st.lists(st.lists(st.tuples(records, st.booleans()), max_size=6), max_size=5)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(batches=steps)
def test_batches_leave_what_one_entry_after_another_would_leave(
    engine: sa.Engine, batches: list[list[tuple[str, bool]]]
) -> None:
    with writing(engine) as session:
        session.execute(sa.delete(RecordRow))
    expected: dict[str, tuple[int, str]] = {}
    seq = 0
    for batch in batches:
        entries = []
        for record, alive in batch:
            entries.append(put(seq, record) if alive else delete(seq, record))
            expected[record] = (seq, LIVE if alive else DELETED)
            seq += 1
        apply(engine, *entries)
    assert {record.record: (record.seq, record.state) for record in everything(engine)} == expected


def test_stored_data_is_the_record_as_json() -> None:
    assert orjson.loads(put(0, "member/a", make_member()).stored_data() or "") == make_member()
    assert delete(0, "member/a").stored_data() is None
