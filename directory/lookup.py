"""The ranked, explained answer: which desk, over which channel, and why (directory.md, section 4).

``directory.candidates`` prepares every way to ask, whatever the hour (R1 to R5, R8, R14). What is left depends on the
moment, and is decided here: R6 hours, R7 language, R9 deadline, R10 copies, R11 Europol, R12 cut, R13 nobody.
"""

import datetime as dt
from collections.abc import Callable, Iterable, Iterator, Sequence

from directory import freshness
from directory.answers import Answer, Candidate, Freshness, Rejected
from directory.candidates import Plan, Step, make_plan
from directory.deadlines import Deadline, deadline
from directory.duty import next_contact, on_duty
from directory.freshness import LogFacts
from directory.index import Directory, Opening
from directory.pairs import Downs, Removal
from directory.policy import Policy
from directory.query import Query, parse_query
from directory.values import Unit
from directory.vocabulary import EUROPOL_ANNEX_I

__all__ = ["FactsOf", "Query", "language_to_use", "lookup", "parse_query"]

FactsOf = Callable[[str], LogFacts | None]
"""What is known of a participant's log, None where there is no node."""

Chosen = tuple[Step, Unit, Opening]

MOST_CANDIDATES = 3
MUTUALLY_INTELLIGIBLE = frozenset({"bs", "cnr", "hr", "sr"})
COPIED_CHANNELS = frozenset({"pccc", "network", "selec", "liaison", "bilateral"})


def lookup(query: Query, directory: Directory, policy: Policy, facts_of: FactsOf) -> Answer:
    """Return who to ask, in order, with reasons, and why nobody else."""
    plan = _plan(query, directory, policy)
    chosen, rejected = _choose(query, directory, plan.steps)
    chosen = chosen or _call_ahead(query, directory, plan)
    candidates = _Describer(query, directory, facts_of).describe(chosen)
    first = candidates[0] if candidates else None
    return Answer(
        query=query,
        candidates=candidates,
        rejected=rejected,
        deadline=_deadline(query, directory, plan),
        language=first.language if first else None,
        execution_unit=_execution_unit(plan.execution_units, first),
        copy_to=_copies(plan, first),
        europol_copy_assessment=_needs_assessment(query, plan),
        next_opening=None if first else _earliest(rejected),
        notes=plan.notes,
    )


def _plan(query: Query, directory: Directory, policy: Policy) -> Plan:
    downs = _downs(query, directory, policy)
    key = (
        policy,
        query.asker,
        query.country,
        query.crime_area,
        query.location,
        query.subject,
        query.classification,
        query.involves,
        downs,
    )
    return directory.prepared(key, lambda: make_plan(query, directory, policy, downs))


def _downs(query: Query, directory: Directory, policy: Policy) -> Downs:
    """Return the outages that count: those that the question names, and those that participants published."""
    sides = (query.asker, query.country)
    downs = [(side, channel) for code, channel in query.outages for side in (sides if code is None else (code,))]
    centre = (policy.call_ahead.participant,) if policy.call_ahead else ()
    for code in sides + centre:
        downs += [(code, channel) for channel in directory.outages(code, query.at)]
    return frozenset(downs)


def _choose(query: Query, directory: Directory, steps: Iterable[Step]) -> tuple[list[Chosen], list[Rejected]]:
    """Keep who may answer at that hour (R6), each unit once and three at most (R12); say why of the others."""
    chosen: list[Chosen] = []
    rejected: list[Rejected] = []
    for step in steps:
        if step.removed is not None:
            unit = _verified_first(step.units, query.now) if step.units else None
            rejected.append(Rejected(unit, step.channel, step.removed.rule, step.removed.reason, None))
            continue
        unit = _verified_first(step.units, query.now)
        opening = directory.opening(unit, query.at)
        removal = _hours_removal(query, step, opening) or _cut_removal(unit, chosen)
        if removal is None:
            chosen.append((step, unit, opening))
        else:
            rejected.append(Rejected(unit, step.channel, removal.rule, removal.reason, opening.next_opening))
    return chosen, rejected


def _verified_first(units: Sequence[Unit], now: dt.datetime) -> Unit:
    """Among equal candidates a verified unit stands before an unverified one (section 2), then the id decides."""
    if len(units) == 1:
        return units[0]
    return min(units, key=lambda unit: (freshness.verification(unit, now) == "unverified", unit.slug))


def _hours_removal(query: Query, step: Step, opening: Opening) -> Removal | None:
    """R6: closed units drop out of urgent cases, but for the liaison officer of a SECRET one."""
    if opening.is_open or _may_be_closed(query, step):
        return None
    return Removal("R6", "closed now, and the request is urgent")


def _may_be_closed(query: Query, step: Step) -> bool:
    """R6: routine requests wait for the next opening; a SECRET one has no other way than the liaison officer."""
    return not query.is_urgent or (query.classification == "SECRET" and step.channel == "liaison")


def _cut_removal(unit: Unit, chosen: Sequence[Chosen]) -> Removal | None:
    """R12: no unit twice, three at most."""
    if any(unit is other for _, other, _ in chosen):
        return Removal("R12", "already in the answer over another channel")
    if len(chosen) == MOST_CANDIDATES:
        return Removal("R12", f"{MOST_CANDIDATES} stand before it")
    return None


class _Describer:
    """Says of each chosen unit what an officer needs to know now."""

    def __init__(self, query: Query, directory: Directory, facts_of: FactsOf) -> None:
        self._query = query
        self._directory = directory
        self._facts_of = facts_of
        self._logs: dict[str, tuple[str | None, dt.datetime | None, int | None]] = {}

    def describe(self, chosen: Iterable[Chosen]) -> list[Candidate]:
        return [self._candidate(step, unit, opening) for step, unit, opening in chosen]

    def _candidate(self, step: Step, unit: Unit, opening: Opening) -> Candidate:
        query, directory = self._query, self._directory
        duty = on_duty(directory, unit, query.at)
        has_gap = duty.rota is not None and duty.slug is None
        spoken = unit.languages or directory.participants[unit.participant].languages
        language = language_to_use(query.language, spoken)
        return Candidate(
            unit=unit,
            channel=step.channel,
            opening=opening,
            duty=duty,
            next_contact=next_contact(directory, unit, query.at) if has_gap else None,
            language=language,
            local_time=query.at.astimezone(directory.zone_of(unit)),
            freshness=self._freshness(unit),
            reasons=(
                *step.reasons,
                _opening_reason(query, unit, opening),
                _language_reason(query.language, language),
            ),
        )

    def _freshness(self, unit: Unit) -> Freshness:
        code = unit.participant
        if code not in self._logs:
            self._logs[code] = _log_state(self._facts_of(code), self._query.now)
        return Freshness(*self._logs[code], unit.verified_at, freshness.verification(unit, self._query.now))


def _log_state(facts: LogFacts | None, now: dt.datetime) -> tuple[str | None, dt.datetime | None, int | None]:
    if facts is None:
        return None, None, None
    return freshness.state(facts, now), facts.checked_at, freshness.age_seconds(facts, now)


def language_to_use(asked: str | None, spoken: Sequence[str]) -> str | None:
    """R7: the asked language; else, within {bs, cnr, hr, sr}, the unit's first of them; else English; else none."""
    if asked in spoken:
        return asked
    if asked in MUTUALLY_INTELLIGIBLE:
        related = next((language for language in spoken if language in MUTUALLY_INTELLIGIBLE), None)
        if related is not None:
            return related
    return "en" if "en" in spoken else None


def _language_reason(asked: str | None, language: str | None) -> str:
    if language is None:
        return f"R7: nobody there reads {asked} or English: translation needed"
    if language == asked:
        return f"R7: {asked} is spoken there"
    return f"R7: {language}, since {asked} is not spoken there"


def _opening_reason(query: Query, unit: Unit, opening: Opening) -> str:
    if unit.hours.always_open:
        return "R6: answers day and night"
    if opening.is_open:
        return "R6: open now"
    why = "a routine request can wait" if not query.is_urgent else "SECRET has no other way"
    return f"R6: closed now, kept because {why}"


def _deadline(query: Query, directory: Directory, plan: Plan) -> Deadline | None:
    """R9; organisations have none (R14)."""
    if plan.is_organisation:
        return None
    zone = directory.participants[query.country].zone
    return deadline(query.subject, query.urgency, query.access, query.at, zone, both_eu=plan.both_eu)


def _execution_unit(units: Iterable[Unit], first: Candidate | None) -> Unit | None:
    """R8: never the addressee."""
    return next((unit for unit in units if first is None or unit.ref != first.unit.ref), None)


def _copies(plan: Plan, first: Candidate | None) -> Sequence[Unit]:
    """R10: both SPOCs get a copy of what passes them by."""
    return plan.spocs if first is not None and first.channel in COPIED_CHANNELS else ()


def _needs_assessment(query: Query, plan: Plan) -> bool:
    """R11: between EU states, whether Europol gets a copy of a crime of its annex has to be considered."""
    return plan.both_eu and query.subject != "mla" and query.crime_area in EUROPOL_ANNEX_I


def _call_ahead(query: Query, directory: Directory, plan: Plan) -> list[Chosen]:
    """R14: in an urgent case INTERPOL's centre stands in for nobody."""
    if plan.call_ahead is None or not query.is_urgent:
        return []
    return _choose(query, directory, [plan.call_ahead])[0]


def _earliest(rejected: Iterable[Rejected]) -> dt.datetime | None:
    """R13: when the first of those who are only closed opens."""
    return min(_openings(rejected), default=None)


def _openings(rejected: Iterable[Rejected]) -> Iterator[dt.datetime]:
    return (each.next_opening for each in rejected if each.rule == "R6" and each.next_opening is not None)
