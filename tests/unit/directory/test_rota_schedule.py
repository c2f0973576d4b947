"""Who is on duty, against tables and against a slow reading of the rules that shares no code with the product."""

import datetime as dt
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.errors import InvalidInputError
from directory.rota import Layer, Override, Restriction, Rota
from directory.rota_schedule import LOOK_AROUND, Change, Shift, changes, next_member, on_duty, shift_at, shifts

UTC = dt.UTC
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)
STEPS = {"hours": HOUR, "days": DAY, "weeks": 7 * DAY}


# --- The slow reference: every rule as the specification words it, one hand-off and one minute after the other ---


def shown(instant, zone):
    """The clock on the wall at an instant."""
    return instant.astimezone(zone).replace(tzinfo=None)


def reference_instant(local, zone):
    """Rules 3 and 4 from the clock alone: the first instant that shows a time, else its distance from the change."""
    offsets = {shown(near, zone) - near.replace(tzinfo=None) for near in hours_around(local)}
    showing = [instant for offset in offsets if shown(instant := (local - offset).replace(tzinfo=UTC), zone) == local]
    if showing:
        return min(showing)
    low, high = local.replace(tzinfo=UTC) - 2 * DAY, local.replace(tzinfo=UTC) + 2 * DAY
    while high - low > dt.timedelta(seconds=1):
        middle = low + (high - low) // 2
        low, high = (middle, high) if shown(middle, zone) < local else (low, middle)
    before = shown(low, zone) - low.replace(tzinfo=None)
    return (local - before).replace(tzinfo=UTC)


def hours_around(local):
    return [local.replace(tzinfo=UTC) + number * HOUR for number in range(-40, 41)]


def reference_hand_offs(layer, until, zone):
    """Every hand-off from the first, as far as one could be not after ``until``."""
    local, number = layer.start, 0
    while local <= until.replace(tzinfo=None) + 2 * DAY:
        yield number, reference_instant(local, zone)
        local, number = local + layer.every * STEPS[layer.unit], number + 1


def reference_windows(layer, around, zone):
    for shift in range(-4, 5):
        day = (around + shift * DAY).date()
        for restriction in layer.restrictions:
            if day.weekday() in restriction.weekdays:
                last = day if restriction.end > restriction.start else day + DAY
                yield (
                    reference_instant(dt.datetime.combine(day, restriction.start), zone),
                    reference_instant(dt.datetime.combine(last, restriction.end), zone),
                )


def reference_layer(layer, at, zone):
    reached = [number for number, instant in reference_hand_offs(layer, at, zone) if instant <= at]
    if not layer.members or not reached:
        return None
    if layer.restrictions and not any(start <= at < end for start, end in reference_windows(layer, at, zone)):
        return None
    return layer.members[max(reached) % len(layer.members)]


def reference_on_duty(rota, at):
    zone = ZoneInfo(rota.time_zone)
    member = None
    for layer in rota.layers:
        member = reference_layer(layer, at, zone) or member
    for override in rota.overrides:
        if override.start <= at < override.end and override.replaces in (None, member):
            member = override.member
    return member


def reference_shifts(rota, start, end):
    """Ask at every instant at which anything could change, then join equals."""
    zone = ZoneInfo(rota.time_zone)
    edges = {start}
    for layer in rota.layers:
        edges |= {instant for _, instant in reference_hand_offs(layer, end, zone)}
        for number in range((end - start).days + 2):
            edges |= {edge for pair in reference_windows(layer, start + number * DAY, zone) for edge in pair}
    for override in rota.overrides:
        edges |= {override.start, override.end}
    result = []
    inside = sorted(edge for edge in edges if start <= edge < end)
    for begin, finish in zip(inside, [*inside[1:], end], strict=False):
        member = reference_on_duty(rota, begin)
        if result and result[-1].member == member:
            result[-1] = Shift(result[-1].start, finish, member)
        else:
            result.append(Shift(begin, finish, member))
    return result


# --- Rotas near the nights on which clocks change ---

ZONES = (
    "Europe/Belgrade",
    "Europe/Sofia",  # changes at 03:00
    "Europe/Chisinau",
    "Europe/Istanbul",  # stopped changing in 2016
    "Europe/Dublin",  # winter time is the exception
    "Australia/Lord_Howe",  # half an hour
    "Antarctica/Troll",  # two hours
    "America/Sao_Paulo",  # midnight does not exist
    "America/Havana",  # midnight occurs twice
    "Africa/Casablanca",  # four changes a year
    "Pacific/Apia",  # skipped the whole of 2011-12-30
    "Asia/Kathmandu",
)


def transitions(name):
    """Instants of clock changes, to the hour, and one quiet night."""
    zone = ZoneInfo(name)
    days = [dt.datetime(2006, 1, 1, tzinfo=UTC) + number * DAY for number in range(40 * 365)]
    changing = [day for day in days if day.astimezone(zone).utcoffset() != (day + DAY).astimezone(zone).utcoffset()]
    return [
        next(hour for hour in (day + n * HOUR for n in range(1, 25)) if _differs(day, hour, zone)) for day in changing
    ] + [dt.datetime(2026, 6, 15, 2, tzinfo=UTC)]


def _differs(first, second, zone):
    return first.astimezone(zone).utcoffset() != second.astimezone(zone).utcoffset()


TRANSITIONS = {name: transitions(name) for name in ZONES}

quarter_hours = st.integers(0, 95).map(lambda number: dt.time(number // 4, number % 4 * 15))
nights = quarter_hours.filter(lambda time: time.hour < 5)
members = st.sampled_from(["ana", "boris", "ceca", "dino"])


@st.composite
def restrictions(draw):
    times = st.one_of(nights, quarter_hours)
    return Restriction(frozenset(draw(st.sets(st.integers(0, 6), min_size=1))), draw(times), draw(times))


@st.composite
def layers(draw, near):
    unit = draw(st.sampled_from(["hours", "hours", "days", "weeks"]))
    most = {"hours": 30, "days": 4, "weeks": 2}[unit]
    start = near - draw(st.integers(-2, 9)) * DAY
    return Layer(
        name=None,
        members=tuple(draw(st.lists(members, max_size=4))),
        start=dt.datetime.combine(start.date(), draw(st.one_of(nights, quarter_hours))),
        every=draw(st.integers(1, most)),
        unit=unit,
        restrictions=tuple(draw(st.lists(restrictions(), max_size=2))),
    )


@st.composite
def overrides(draw, near):
    start = near + draw(st.integers(-300, 300)) * HOUR / 4
    end = start + draw(st.integers(1, 200)) * HOUR / 4
    return Override(start, end, draw(members), draw(st.one_of(st.none(), members)))


@st.composite
def rotas_near_a_change(draw):
    name = draw(st.sampled_from(ZONES))
    change = draw(st.sampled_from(TRANSITIONS[name]))
    near = shown(change, ZoneInfo(name))
    rota = Rota(
        name,
        tuple(draw(st.lists(layers(near), max_size=3))),
        tuple(draw(st.lists(overrides(change), max_size=4))),
    )
    return rota, change


@settings(max_examples=150, deadline=None)
@given(rotas_near_a_change(), st.integers(-40, 40), st.integers(-1, 1))
def test_on_duty_is_what_the_slow_reading_of_the_rules_says(drawn, quarters, seconds):
    rota, change = drawn
    at = change + quarters * HOUR / 4 + dt.timedelta(seconds=seconds)
    assert on_duty(rota, at) == reference_on_duty(rota, at)


@settings(max_examples=60, deadline=None)
@given(rotas_near_a_change(), st.integers(-20, 20), st.integers(1, 130))
def test_a_schedule_is_what_the_slow_reading_of_the_rules_says(drawn, begin, quarters):
    rota, change = drawn
    start = change + begin * HOUR / 4
    end = start + quarters * HOUR / 4
    assert shifts(rota, start, end) == reference_shifts(rota, start, end)


# --- What holds of every schedule ---


@settings(max_examples=60, deadline=None)
@given(rotas_near_a_change(), st.integers(-200, 200), st.integers(0, 1000))
def test_a_schedule_covers_its_window_with_maximal_shifts_that_on_duty_confirms(drawn, begin, quarters):
    rota, change = drawn
    start = change + begin * HOUR / 4
    end = start + quarters * HOUR / 4
    schedule = shifts(rota, start, end)
    edges = [shift.start for shift in schedule] + [end]
    assert edges[0] == start
    assert [shift.end for shift in schedule] == edges[1:]
    assert all(shift.start < shift.end for shift in schedule)
    assert all(one.member != other.member for one, other in pairwise(schedule))
    for shift in schedule:
        assert on_duty(rota, shift.start) == on_duty(rota, shift.end - dt.timedelta(seconds=1)) == shift.member


@settings(max_examples=40, deadline=None)
@given(rotas_near_a_change(), rotas_near_a_change(), st.integers(0, 300))
def test_changes_are_where_two_rotas_differ(before, after, quarters):
    start = after[1]
    end = start + quarters * HOUR / 4
    found = changes(before[0], after[0], start, end)
    for quarter in range(quarters):
        at = start + quarter * HOUR / 4
        inside = [change for change in found if change.start <= at < change.end]
        pair = on_duty(before[0], at), on_duty(after[0], at)
        assert [(change.before, change.after) for change in inside] == ([pair] if pair[0] != pair[1] else [])


@settings(max_examples=40, deadline=None)
@given(rotas_near_a_change())
def test_the_shift_at_an_instant_is_the_one_of_a_wider_schedule(drawn):
    rota, change = drawn
    shift = shift_at(rota, change)
    wide = shifts(rota, change - LOOK_AROUND, change + LOOK_AROUND)
    assert shift in wide
    assert shift.start <= change < shift.end


@settings(max_examples=40, deadline=None)
@given(rotas_near_a_change())
def test_the_next_member_is_the_first_other_one(drawn):
    rota, change = drawn
    present = on_duty(rota, change)
    others = [shift for shift in shifts(rota, change, change + LOOK_AROUND) if shift.member not in (None, present)]
    found = next_member(rota, change)
    if not others:
        assert found is None
    else:
        assert (found.start, found.member) == (others[0].start, others[0].member)


# --- Tables: the nights that are easily got wrong ---


def at(text):
    return dt.datetime.fromisoformat(text).astimezone(UTC)


def rota(zone, start, every, unit, members="abc", restrictions=(), overrides=()):
    layer = Layer(None, tuple(members), dt.datetime.fromisoformat(start), every, unit, tuple(restrictions))
    return Rota(zone, (layer,), tuple(overrides))


def window(days, start, end):
    return Restriction(frozenset(days), dt.time.fromisoformat(start), dt.time.fromisoformat(end))


EVERY_DAY = range(7)


@pytest.mark.parametrize(
    ("resolved", "start", "end", "expected"),
    [
        pytest.param(
            rota("Europe/Belgrade", "2026-03-29T00:30", 1, "hours"),
            "2026-03-28T23:30Z",
            "2026-03-29T03:30Z",
            "a 23:30-00:30, b 00:30-01:30, a 01:30-02:30, b 02:30-03:30",
            id="hourly at half past: the hand-off in the gap ties with the next and vanishes",
        ),
        pytest.param(
            rota("Europe/Belgrade", "2026-10-25T00:30", 1, "hours"),
            "2026-10-24T22:30Z",
            "2026-10-25T03:30Z",
            "a 22:30-23:30, b 23:30-00:30, c 00:30-02:30, a 02:30-03:30",
            id="hourly at half past: two hours through the fold",
        ),
        pytest.param(
            rota("Australia/Lord_Howe", "2026-10-04T00:00", 1, "hours"),
            "2026-10-03T13:30Z",
            "2026-10-03T17:00Z",
            "a 13:30-14:30, b 14:30-15:30, c 15:30-16:00, a 16:00-17:00",
            id="Lord Howe in spring: half an hour is missing",
        ),
        pytest.param(
            rota("Australia/Lord_Howe", "2026-04-05T00:00", 1, "hours"),
            "2026-04-04T13:00Z",
            "2026-04-04T16:30Z",
            "a 13:00-14:00, b 14:00-15:30, c 15:30-16:30",
            id="Lord Howe in autumn: half an hour more",
        ),
        pytest.param(
            rota("Antarctica/Troll", "2026-03-29T00:00", 1, "hours", "abcdef"),
            "2026-03-29T00:00Z",
            "2026-03-29T03:00Z",
            "a 00:00-01:00, d 01:00-02:00, e 02:00-03:00",
            id="Troll: of two missing hours the later hand-offs win",
        ),
        pytest.param(
            rota("America/Sao_Paulo", "2018-11-02T00:00", 1, "days"),
            "2018-11-03T03:00Z",
            "2018-11-05T02:00Z",
            "b 03:00-03:00, c 03:00-02:00",
            id="Sao Paulo: a midnight that does not exist is 01:00",
        ),
        pytest.param(
            rota("Pacific/Apia", "2011-12-28T08:00", 1, "days", "abcd"),
            "2011-12-28T18:00Z",
            "2011-12-31T18:00Z",
            "a 18:00-18:00, b 18:00-18:00, d 18:00-18:00",
            id="Apia: who would have served on the skipped day is passed over",
        ),
        pytest.param(
            rota("Europe/Belgrade", "2026-03-28T08:00", 12, "hours"),
            "2026-03-28T07:00Z",
            "2026-03-29T18:00Z",
            "a 07:00-19:00, b 19:00-06:00, c 06:00-18:00",
            id="twelve hours on the clock over the spring night are eleven",
        ),
        pytest.param(
            rota("Europe/Belgrade", "2026-10-24T08:00", 12, "hours"),
            "2026-10-24T06:00Z",
            "2026-10-25T19:00Z",
            "a 06:00-18:00, b 18:00-07:00, c 07:00-19:00",
            id="and thirteen over the autumn night",
        ),
        pytest.param(
            rota("Europe/Istanbul", "2026-03-28T08:00", 12, "hours"),
            "2026-03-28T05:00Z",
            "2026-03-29T17:00Z",
            "a 05:00-17:00, b 17:00-05:00, c 05:00-17:00",
            id="Istanbul: twelve hours are twelve",
        ),
        pytest.param(
            rota("Europe/Belgrade", "2026-01-01T00:00", 1, "weeks", "a", [window({6}, "02:15", "02:45")]),
            "2026-03-29T00:00Z",
            "2026-03-29T03:00Z",
            "- 00:00-01:15, a 01:15-01:45, - 01:45-03:00",
            id="a window wholly inside the gap is read as an hour later",
        ),
        pytest.param(
            rota("Europe/Belgrade", "2026-01-01T00:00", 1, "weeks", "a", [window({6}, "02:30", "03:15")]),
            "2026-03-29T00:00Z",
            "2026-03-29T03:00Z",
            "- 00:00-03:00",
            id="a window that ends before it starts is empty",
        ),
        pytest.param(
            rota("Europe/Belgrade", "2026-01-01T00:00", 1, "weeks", "a", [window({5}, "08:00", "08:00")]),
            "2026-03-28T00:00Z",
            "2026-03-29T12:00Z",
            "- 00:00-07:00, a 07:00-06:00, - 06:00-12:00",
            id="equal edges are 24 hours on the clock",
        ),
        pytest.param(
            rota(
                "Europe/Belgrade",
                "2026-01-01T00:00",
                1,
                "weeks",
                "a",
                [window({0}, "08:00", "12:00"), window({0}, "10:00", "14:00"), window({0}, "14:00", "15:00")],
            ),
            "2026-01-05T06:00Z",
            "2026-01-05T16:00Z",
            "- 06:00-07:00, a 07:00-14:00, - 14:00-16:00",
            id="windows are united",
        ),
        pytest.param(
            rota("Europe/Belgrade", "2026-01-05T08:00", 1, "days", "ab", [window(EVERY_DAY, "08:00", "16:00")]),
            "2026-01-05T07:00Z",
            "2026-01-07T07:00Z",
            "a 07:00-15:00, - 15:00-07:00, b 07:00-15:00, - 15:00-07:00",
            id="restrictions mask, the count goes on",
        ),
        pytest.param(
            rota("Europe/Belgrade", "2026-01-05T08:00", 1, "days", ""),
            "2026-01-05T07:00Z",
            "2026-01-06T07:00Z",
            "- 07:00-07:00",
            id="nobody to take turns",
        ),
        pytest.param(
            rota("Europe/Belgrade", "2026-01-05T08:00", 1, "days", "aab"),
            "2026-01-04T07:00Z",
            "2026-01-08T07:00Z",
            "- 07:00-07:00, a 07:00-07:00, b 07:00-07:00",
            id="two turns of one member are one shift",
        ),
        pytest.param(
            rota(
                "Europe/Belgrade",
                "2026-01-05T08:00",
                1,
                "days",
                overrides=[Override(at("2026-01-06T07:00Z"), at("2026-01-07T07:00Z"), "x", "b")],
            ),
            "2026-01-05T07:00Z",
            "2026-01-08T07:00Z",
            "a 07:00-07:00, x 07:00-07:00, c 07:00-07:00",
            id="an override with the edges of a shift",
        ),
        pytest.param(
            rota(
                "Europe/Belgrade",
                "2026-01-05T08:00",
                1,
                "days",
                overrides=[
                    Override(at("2026-01-05T08:00Z"), at("2026-01-05T20:00Z"), "x", "a"),
                    Override(at("2026-01-05T10:00Z"), at("2026-01-05T18:00Z"), "y", "x"),
                    Override(at("2026-01-05T12:00Z"), at("2026-01-05T16:00Z"), "a", "y"),
                ],
            ),
            "2026-01-05T07:00Z",
            "2026-01-06T07:00Z",
            "a 07:00-08:00, x 08:00-10:00, y 10:00-12:00, a 12:00-16:00, y 16:00-18:00, x 18:00-20:00, a 20:00-07:00",
            id="a chain of stand-ins",
        ),
        pytest.param(
            rota(
                "Europe/Belgrade",
                "2026-01-05T08:00",
                1,
                "days",
                overrides=[
                    Override(at("2026-01-05T08:00Z"), at("2026-01-05T20:00Z"), "y", "x"),
                    Override(at("2026-01-05T08:00Z"), at("2026-01-05T20:00Z"), "x", "a"),
                ],
            ),
            "2026-01-05T07:00Z",
            "2026-01-05T21:00Z",
            "a 07:00-08:00, x 08:00-20:00, a 20:00-21:00",
            id="the order of the list decides, not the names",
        ),
        pytest.param(
            rota(
                "Europe/Belgrade",
                "2026-01-05T08:00",
                1,
                "days",
                overrides=[
                    Override(at("2026-01-05T08:00Z"), at("2026-01-05T12:00Z"), "x", "a"),
                    Override(at("2026-01-05T08:00Z"), at("2026-01-05T12:00Z"), "a", "x"),
                ],
            ),
            "2026-01-05T07:00Z",
            "2026-01-06T07:00Z",
            "a 07:00-07:00",
            id="there and back again is one shift",
        ),
        pytest.param(
            rota(
                "Europe/Belgrade",
                "2026-02-05T08:00",
                1,
                "days",
                overrides=[Override(at("2026-01-05T08:00Z"), at("2026-01-05T12:00Z"), "x")],
            ),
            "2026-01-05T07:00Z",
            "2026-01-05T13:00Z",
            "- 07:00-08:00, x 08:00-12:00, - 12:00-13:00",
            id="an override fills a gap",
        ),
        pytest.param(
            Rota("Europe/Belgrade", ()), "2026-01-05T07:00Z", "2026-01-05T08:00Z", "- 07:00-08:00", id="no layers"
        ),
        pytest.param(Rota("Europe/Belgrade", ()), "2026-01-05T07:00Z", "2026-01-05T07:00Z", "", id="an empty window"),
    ],
)
def test_schedules(resolved, start, end, expected):
    found = shifts(resolved, at(start), at(end))
    text = ", ".join(f"{shift.member or '-'} {shift.start:%H:%M}-{shift.end:%H:%M}" for shift in found)
    assert text == expected
    assert found == reference_shifts(resolved, at(start), at(end))


def test_instants_may_be_given_in_any_offset():
    hourly = rota("Europe/Belgrade", "2026-01-05T08:00", 1, "hours")
    there = dt.datetime(2026, 1, 5, 9, tzinfo=ZoneInfo("Europe/Istanbul"))
    assert on_duty(hourly, there) is None
    assert on_duty(hourly, there + HOUR) == "a"
    assert shifts(hourly, there, there + 2 * HOUR) == shifts(hourly, there.astimezone(UTC), at("2026-01-05T08:00Z"))


@pytest.mark.parametrize("years", [-20, -1, 1, 20])
def test_the_answer_is_right_twenty_years_away(years):
    hourly = rota("Europe/Belgrade", "2006-01-02T00:00", 1, "hours", "abcdefg")
    then = dt.datetime(2026 + years, 7, 1, 12, 30)
    passed = (then - dt.datetime(2006, 1, 2)) // HOUR
    expected = "abcdefg"[passed % 7] if passed >= 0 else None
    assert on_duty(hourly, then.replace(tzinfo=ZoneInfo("Europe/Belgrade"))) == expected


# --- What a change changes ---


@pytest.mark.parametrize("missing", ["before", "after"])
def test_a_rota_that_is_not_there_is_a_gap(missing):
    daily = rota("Europe/Belgrade", "2026-01-05T08:00", 1, "days", "a")
    window_ = at("2026-01-05T06:00Z"), at("2026-01-05T12:00Z")
    pair = (None, daily) if missing == "before" else (daily, None)
    names = (None, "a") if missing == "before" else ("a", None)
    assert changes(*pair, *window_) == [Change(at("2026-01-05T07:00Z"), window_[1], *names)]
    assert changes(None, None, *window_) == []


def test_nothing_changes_in_an_empty_window():
    daily = rota("Europe/Belgrade", "2026-01-05T08:00", 1, "days")
    assert changes(None, daily, at("2026-01-06T08:00Z"), at("2026-01-06T08:00Z")) == []


# --- The shift around an instant, and who is next ---


@pytest.mark.parametrize(
    ("every", "unit", "time", "start", "end", "member"),
    [
        (12, "hours", "2026-01-05T12:00Z", "2026-01-05T07:00Z", "2026-01-05T19:00Z", "a"),
        (1, "weeks", "2026-01-12T07:00Z", "2026-01-12T07:00Z", "2026-01-19T07:00Z", "b"),
        (30, "weeks", "2026-01-12T07:00Z", "2026-01-05T07:00Z", "2026-08-03T06:00Z", "a"),
        (60, "weeks", "2026-01-12T07:00Z", "2026-01-05T07:00Z", "2027-02-16T07:00Z", "a"),
    ],
)
def test_shift_at(every, unit, time, start, end, member):
    found = shift_at(rota("Europe/Belgrade", "2026-01-05T08:00", every, unit), at(time))
    assert found == Shift(at(start), at(end), member)


def test_a_gap_is_a_shift_of_nobody_cut_where_nothing_was_looked_for():
    weekly = rota("Europe/Belgrade", "2026-01-05T08:00", 1, "weeks")
    before = at("2026-01-01T00:00Z")
    assert shift_at(weekly, before) == Shift(before - LOOK_AROUND, at("2026-01-05T07:00Z"), None)


@pytest.mark.parametrize(
    ("members", "restrictions", "time", "expected"),
    [
        pytest.param("ab", [], "2026-01-05T12:00Z", ("2026-01-06T07:00Z", "2026-01-07T07:00Z", "b"), id="next day"),
        pytest.param("ab", [], "2026-01-01T12:00Z", ("2026-01-05T07:00Z", "2026-01-06T07:00Z", "a"), id="from a gap"),
        pytest.param(
            "ab",
            [window({0, 3}, "08:00", "09:00")],
            "2026-01-05T07:30Z",
            ("2026-01-08T07:00Z", "2026-01-08T08:00Z", "b"),
            id="over a gap",
        ),
        pytest.param("aaab", [], "2026-01-05T12:00Z", ("2026-01-08T07:00Z", "2026-01-09T07:00Z", "b"), id="own turns"),
        pytest.param("a", [], "2026-01-05T12:00Z", None, id="alone"),
        pytest.param("", [], "2026-01-05T12:00Z", None, id="nobody at all"),
        pytest.param(
            "a" * 300 + "b",
            [],
            "2026-01-05T12:00Z",
            ("2026-11-01T07:00Z", "2026-11-02T07:00Z", "b"),
            id="three hundred days later",
        ),
        pytest.param("a" * 500 + "b", [], "2026-01-05T12:00Z", None, id="further than one looks"),
    ],
)
def test_next_member(members, restrictions, time, expected):
    daily = rota("Europe/Belgrade", "2026-01-05T08:00", 1, "days", members, restrictions)
    found = next_member(daily, at(time))
    assert found == (expected and Shift(at(expected[0]), at(expected[1]), expected[2]))


# --- Refusals ---


@pytest.mark.parametrize("year", [1, 1799, 2300, 9999])
@pytest.mark.parametrize("question", [on_duty, shift_at, next_member])
def test_instants_out_of_reach_are_refused(question, year):
    with pytest.raises(InvalidInputError, match="years 1800 to 2299"):
        question(rota("Europe/Belgrade", "2026-01-05T08:00", 1, "days"), dt.datetime(year, 6, 1, tzinfo=UTC))


@pytest.mark.parametrize("resolve", [shifts, lambda *arguments: changes(arguments[0], *arguments)])
def test_a_window_that_ends_before_it_starts_is_refused(resolve):
    with pytest.raises(InvalidInputError, match="expected an end from 2026-01-05T07:00:00"):
        resolve(Rota("Europe/Belgrade", ()), at("2026-01-05T07:00Z"), at("2026-01-05T06:59:59Z"))


@pytest.mark.parametrize("question", [on_duty, shift_at, next_member])
def test_an_unknown_zone_is_refused(question):
    with pytest.raises(ValueError, match="IANA"):
        question(Rota("Mars/Olympus", ()), at("2026-01-05T07:00Z"))
