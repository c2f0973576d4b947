"""Who could answer, in which order, and why or why not: rules R1 to R5, R8 and R14 (directory.md, section 4).

The rules as they are applied to each way to ask; the first that removes it is named:

1. R2 gates: what the policy allows between two countries, or for a classification.
2. R3 the subject's own contact comes first (for judicial cooperation alone); some subjects move a channel forward.
   R4 then the channels in the order of the pair.
3. R1 a channel counts only where both sides have it, nothing is down and the classification fits.
4. R5 the one addressee of the channel in the requested state.

Nothing here depends on the clock but the outages, which are given: a plan holds until the directory changes. What
depends on it (hours, duty) is decided by ``directory.lookup``.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from directory.addressees import ADDRESSEES, Choice, Way, best_of, fit, gate_addressee, subject_way
from directory.index import Directory
from directory.pairs import (
    Downs,
    Pair,
    Removal,
    connection_removal,
    gate_removal,
    make_pair,
    unit_ceiling_removal,
    why_available,
)
from directory.policy import CallAhead, Policy
from directory.query import Query
from directory.values import Unit
from directory.vocabulary import CROSSINGS

_MOVES_I247_FORWARD = frozenset({"interpol_db_hit", "wanted_worldwide"})


@dataclass(frozen=True, slots=True)
class Step:
    """One way to ask: a channel and its addressee, or why it is none.

    ``units`` are equal by rule R5 but for their verification and id; empty where nobody fits.
    """

    channel: str
    units: tuple[Unit, ...]
    reasons: tuple[str, ...]
    removed: Removal | None


@dataclass(frozen=True, slots=True)
class Plan:
    """Every way to ask, in order, with what else does not depend on the clock."""

    steps: tuple[Step, ...]
    call_ahead: Step | None
    execution_units: tuple[Unit, ...]
    """Who may carry it out (R8), the first first."""
    spocs: tuple[Unit, ...]
    """Who gets copies (R10), the asker's first."""
    is_organisation: bool
    both_eu: bool
    notes: tuple[str, ...]


def make_plan(query: Query, directory: Directory, policy: Policy, downs: Downs) -> Plan:
    """Return every way to ask with the rule that removes it, if one does, whatever the hour."""
    pair = make_pair(query, directory, policy, downs)
    is_organisation = pair.requested.is_organisation
    return Plan(
        steps=tuple(_organisation_steps(pair) if is_organisation else _state_steps(pair)),
        call_ahead=None if is_organisation or policy.call_ahead is None else _call_ahead(pair, policy.call_ahead),
        execution_units=() if is_organisation else tuple(_execution_units(pair)),
        spocs=() if is_organisation else tuple(_spocs(pair)),
        is_organisation=is_organisation,
        both_eu=pair.both_members("EU"),
        notes=_notes(pair),
    )


def _notes(pair: Pair) -> tuple[str, ...]:
    """Return the notes on status (XK), and the claims that the policy leaves without effect (R1)."""
    status = pair.policy.status_notes
    notes = [status[side.code] for side in (pair.asker, pair.requested) if side.code in status]
    return (*notes, *pair.asker_standing.without_effect, *pair.requested_standing.without_effect)


def _state_steps(pair: Pair) -> list[Step]:
    first = subject_way(pair)
    ways = [*([first] if first else []), *_default_order(pair)]
    return [_step(pair, way) for way in ways]


def _step(pair: Pair, way: Way) -> Step:
    choice = way.find(pair)
    removed = _removal(pair, way.channel, choice)
    reasons = () if removed else (way.why_here, f"R5: {choice.reason}", why_available(pair, way.channel))
    return Step(way.channel, choice.units, reasons, removed)


def _removal(pair: Pair, channel: str, choice: Choice) -> Removal | None:
    """Return the first rule that removes a way to ask, in the order of this module's list."""
    return (
        gate_removal(pair.gates, channel)
        or subject_removal(pair.query, channel)
        or _membership_removal(choice)
        or connection_removal(pair, channel)
        or _nobody_removal(choice)
        or unit_ceiling_removal(pair, channel, choice.units[0])
    )


def _membership_removal(choice: Choice) -> Removal | None:
    return Removal("R3", choice.forbids) if choice.forbids else None


def _nobody_removal(choice: Choice) -> Removal | None:
    return None if choice.units else Removal("R5", choice.reason)


def subject_removal(query: Query, channel: str) -> Removal | None:
    """R3: judicial cooperation goes to the judicial network and nowhere else."""
    if query.subject == "mla" and channel != "ejn":
        return Removal("R3", "evidence for a court is judicial cooperation: the EJN contact and nothing else")
    return None


def _default_order(pair: Pair) -> list[Way]:
    """R4, after what R3 moved; where a gate puts a channel in another's place, it takes its position (R2)."""
    order = list(pair.policy.order(pair.asker.code, pair.requested.code))
    names = f"{pair.asker.code} and {pair.requested.code}"
    why = {channel: f"R4: number {place} in the order of channels of {names}" for place, channel in enumerate(order, 1)}
    for channel, reason in _forward(pair).items():
        if channel in order:
            order.remove(channel)
            order.insert(0, channel)
            why[channel] = reason
    return [_way(pair, channel, why[channel]) for channel in order]


def _way(pair: Pair, channel: str, why_here: str) -> Way:
    for gate in pair.gates:
        if channel in gate.replace:
            return Way(gate.replace[channel], gate_addressee(gate), f"{why_here}; R2: {gate.reason}")
    return Way(channel, ADDRESSEES[channel], why_here)


def _forward(pair: Pair) -> Mapping[str, str]:
    """R3: the channels that move to the front, the last of them foremost, each with its reason."""
    moved = {}
    if pair.query.subject in _MOVES_I247_FORWARD:
        moved["i247"] = "R3: what concerns INTERPOL's databases and notices goes over its channel first"
    else:
        outside = [code for code in _third_countries(pair) if not _is_on_siena(pair, code)]
        if outside:
            moved["i247"] = (
                f"R3: {', '.join(outside)} will be needed and is not on SIENA, so the INTERPOL channel first"
            )
    if pair.query.subject == "selec_operation":
        moved["selec"] = "R3: an operation of SELEC goes over its channel first"
    return moved


def _third_countries(pair: Pair) -> list[str]:
    return [code for code in pair.query.involves if code not in (pair.asker.code, pair.requested.code)]


def _is_on_siena(pair: Pair, code: str) -> bool:
    participant = pair.directory.participants.get(code)
    if participant is None:
        return pair.policy.is_on_siena(code)
    return "siena" in pair.policy.standing(participant).ceilings


def _execution_units(pair: Pair) -> list[Unit]:
    """R8: the border stations that list the crossing, then the regional units that have the location."""
    location = pair.query.location
    if location is None:
        return []
    code = pair.requested.code
    stations = pair.directory.units_at(code, "border_station", location) if location in CROSSINGS else ()
    regional = pair.directory.units_at(code, "regional", location)
    return [
        unit for units in (stations, regional) for unit in sorted(units, key=lambda unit: (len(unit.area), unit.slug))
    ]


def _spocs(pair: Pair) -> list[Unit]:
    spocs = (pair.directory.spoc(pair.asker.code), pair.directory.spoc(pair.requested.code))
    return [spoc for spoc in spocs if spoc is not None]


# -- R14: organisations ----------------------------------------------------------------------------------------------


def _organisation_steps(pair: Pair) -> list[Step]:
    """R14: the organisation's units that deal with the crime, specialists first, each over a channel of both."""
    crime = pair.query.crime_area
    units = [unit for unit in pair.directory.units_of(pair.requested.code) if unit.channels]
    units.sort(
        key=lambda unit: (not unit.deals_with(crime), crime not in unit.crime_areas, fit(unit, crime), unit.slug)
    )
    return [_organisation_step(pair, unit) for unit in units]


def _organisation_step(pair: Pair, unit: Unit) -> Step:
    crime, code = pair.query.crime_area, pair.requested.code
    channels = _listed_channels(pair, unit)
    if not unit.deals_with(crime):
        return Step(channels[0], (unit,), (), Removal("R14", f"{crime} is not in its remit"))
    removals = []
    for channel in channels:
        removed = _organisation_removal(pair, channel, unit)
        if removed is None:
            role = f"a specialist for {crime}" if crime in unit.crime_areas else "for every crime"
            return Step(channel, (unit,), (f"R14: {role} at {code}", why_available(pair, channel)), None)
        removals.append(removed)
    return Step(channels[0], (unit,), (), removals[0])


def _listed_channels(pair: Pair, unit: Unit) -> list[str]:
    """Return the channels that a unit lists, in the order of the pair, then the others."""
    order = pair.policy.order(pair.asker.code, pair.requested.code)
    listed = [channel for channel in order if channel in unit.channels]
    return [*listed, *sorted(unit.channels - set(listed))]


def _organisation_removal(pair: Pair, channel: str, unit: Unit) -> Removal | None:
    return (
        gate_removal(pair.gates, channel)
        or subject_removal(pair.query, channel)
        or connection_removal(pair, channel)
        or unit_ceiling_removal(pair, channel, unit)
    )


def _call_ahead(pair: Pair, call: CallAhead) -> Step | None:
    """R14: INTERPOL's centre, for those who would reach nobody, where both are states and members.

    None for judicial cooperation, which goes to the EJN contact and nowhere else.
    """
    centre = pair.directory.participants.get(call.participant)
    if centre is None or not _may_call_ahead(pair, call):
        return None
    to_centre = pair.with_requested(centre)
    units = [
        unit for unit in pair.directory.units_of_kind(call.participant, call.kind) if call.channel in unit.channels
    ]
    if not units or _organisation_removal(to_centre, call.channel, units[0]) is not None:
        return None
    why = f"R14: call-ahead, since nobody in {pair.requested.code} answers now: {call.participant} passes it on"
    best = best_of(units, pair.query.crime_area)
    return Step(call.channel, best, (why, why_available(to_centre, call.channel)), None)


def _may_call_ahead(pair: Pair, call: CallAhead) -> bool:
    return (
        not pair.asker.is_organisation
        and pair.both_members(call.membership)
        and pair.query.classification in call.classifications
    )
