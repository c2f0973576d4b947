"""Who is on duty, against tables and against a slow reading of the rules that shares no code with the product."""

import datetime as dt
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from directory.rota import Layer, Override, Restriction, Rota
from directory.rota_schedule import Shift, on_duty, shifts

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
    for begin, finish in zip(inside, [*inside[1:], end], strict=True):
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
