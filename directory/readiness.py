"""How ready a participant is: the region's minimum criteria, with what to do about each (directory.md, section 6).

The directory alone answers most of them. What only a node knows (answered pings, complete statistics, the age of keys)
is given; where it is not, the row is *not applicable* and says so.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from directory import freshness
from directory.errors import NotFoundError
from directory.index import Directory
from directory.policy import Policy, Standing
from directory.rota_schedule import shifts
from directory.values import Participant, Unit
from directory.vocabulary import CROSSINGS

MET, NOT_MET, NOT_APPLICABLE = "met", "not_met", "not_applicable"

ROTA_AHEAD = dt.timedelta(days=30)
KEYS_YOUNGER_THAN = dt.timedelta(days=365)
FEWEST_REACHABLE = 2
_SHOWN = 10

AGENCY_KINDS: Mapping[str, frozenset[str]] = {
    "police": frozenset({"police", "gendarmerie"}),
    "border": frozenset({"border_police", "coast_guard"}),
    "customs": frozenset({"customs"}),
    "tax": frozenset({"tax"}),
}


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What only a node knows; None where it is not known.

    ``pings``: unit reference → (sent, answered) in the last 90 days; ``statistics_complete``: those of last year;
    ``oldest_key_at``: when the oldest key in use was made.
    """

    pings: Mapping[str, tuple[int, int]] | None = None
    statistics_complete: bool | None = None
    oldest_key_at: dt.datetime | None = None


NOTHING_KNOWN = NodeFacts()


@dataclass(frozen=True, slots=True)
class Row:
    """A criterion, whether it is met, and what to do if not (or why it does not apply)."""

    criterion: str
    state: str
    what_to_do: str = ""


@dataclass(frozen=True, slots=True)
class _Subject:
    """The participant in question with what its rows need."""

    directory: Directory
    policy: Policy
    participant: Participant
    standing: Standing
    spocs: Sequence[Unit]
    facts: NodeFacts
    now: dt.datetime

    @property
    def code(self) -> str:
        return self.participant.code


def report(
    directory: Directory, code: str, now: dt.datetime, policy: Policy, facts: NodeFacts = NOTHING_KNOWN
) -> list[dict[str, str]]:
    """Return every criterion with its state and what to do.

    For an organisation only the criteria of its units, statistics and keys apply. Raises NotFoundError for a
    participant that is not in the directory.
    """
    participant = directory.participants.get(code)
    if participant is None:
        known = ", ".join(sorted(directory.participants))
        raise NotFoundError(f"expected a participant of the directory ({known}), found {code!r}")
    subject = _Subject(
        directory=directory,
        policy=policy,
        participant=participant,
        standing=policy.standing(participant),
        spocs=directory.units_of_kind(code, "spoc"),
        facts=facts,
        now=now,
    )
    rows = [row for criteria in _CRITERIA for row in criteria(subject)]
    return [{"criterion": row.criterion, "state": row.state, "what_to_do": row.what_to_do} for row in rows]


def _row(criterion: str, is_met: bool, what_to_do: str) -> Row:
    return Row(criterion, MET) if is_met else Row(criterion, NOT_MET, what_to_do)


def _spoc_rows(subject: _Subject) -> Iterator[Row]:
    """One active SPOC: round the clock, rota without a gap, two people by phone, English."""
    criteria = (
        "one active SPOC",
        "SPOC open 24/7",
        "SPOC's rota without a gap for 30 days",
        "at least two members of the SPOC reachable by phone",
        "English among the SPOC's languages",
    )
    if subject.participant.is_organisation:
        yield from (Row(criterion, NOT_APPLICABLE, "organisations have no SPOC") for criterion in criteria)
        return
    found = len(subject.spocs)
    yield _row(criteria[0], found == 1, f"publish exactly one unit of kind spoc (found {found})")
    if not found:
        yield from (Row(criterion, NOT_MET, "publish the SPOC first") for criterion in criteria[1:])
        return
    spoc = subject.spocs[0]
    yield _row(criteria[1], spoc.hours.always_open, f"set the hours of {spoc.slug} to 24/7")
    yield _row(criteria[2], not (gap := _gap(subject, spoc)), f"close the gap in the rota of {spoc.slug}: {gap}")
    reachable = sum(1 for member in subject.directory.members_of(spoc) if member.phone)
    yield _row(
        criteria[3], reachable >= FEWEST_REACHABLE, f"add members with a phone number to {spoc.slug} ({reachable})"
    )
    yield _row(criteria[4], "en" in spoc.languages, f"add en to the languages of {spoc.slug}")


def _gap(subject: _Subject, unit: Unit) -> str:
    """Return in words what of the next 30 days nobody covers, empty where somebody always does."""
    found = subject.directory.rota_of(unit)
    if found is None:
        return "it has no rota"
    gap = next(
        (shift for shift in shifts(found[1], subject.now, subject.now + ROTA_AHEAD) if shift.member is None), None
    )
    return f"nobody from {gap.start:%Y-%m-%d %H:%M} UTC" if gap else ""


def _named_units_rows(subject: _Subject) -> Iterator[Row]:
    """Europol unit, NCB and (Schengen) SIRENE bureau named."""
    for kind, name, needed in (
        ("enu", "Europol unit", True),
        ("ncb", "INTERPOL NCB", not _substitute(subject, "i247")),
        ("sirene", "SIRENE bureau", "SCHENGEN" in subject.standing.memberships),
    ):
        criterion = f"{name} named"
        if subject.participant.is_organisation or not needed:
            why = "organisations have none" if subject.participant.is_organisation else "not asked of this participant"
            yield Row(criterion, NOT_APPLICABLE, why)
        else:
            is_named = bool(subject.directory.units_of_kind(subject.code, kind))
            yield _row(criterion, is_named, f"publish a unit of kind {kind}")


def _connection_rows(subject: _Subject) -> Iterator[Row]:
    """A SIENA and an I-24/7 connection, or the declared substitute."""
    for channel, name in (("siena", "SIENA"), ("i247", "I-24/7")):
        criterion = f"{name} connection or the declared substitute"
        if subject.participant.is_organisation:
            yield Row(criterion, NOT_APPLICABLE, "asked of states")
            continue
        is_met = channel in subject.standing.ceilings or bool(_substitute(subject, channel))
        yield _row(criterion, is_met, f"connect to {name}, or declare what stands in its place")


def _substitute(subject: _Subject, channel: str) -> str | None:
    """Return what stands in a channel's place: declared by the participant, or for it by the policy (R2)."""
    for gate in subject.policy.gates:
        if gate.between and gate.between[0] == subject.code and channel in gate.replace:
            return gate.replace[channel]
    return subject.participant.substitutes.get(channel)


def _agency_rows(subject: _Subject) -> Iterator[Row]:
    """Each agency of the state reachable through a unit."""
    agencies = subject.directory.agencies_of(subject.code)
    for name, kinds in AGENCY_KINDS.items():
        criterion = f"{name} agencies reachable through a unit"
        of_kind = [agency.slug for agency in agencies if agency.kind in kinds]
        if not of_kind:
            yield Row(criterion, NOT_APPLICABLE, f"no {name} agency is listed; add it if there is one")
            continue
        missing = [slug for slug in of_kind if not subject.directory.units_of_agency(subject.code, slug)]
        yield _row(criterion, not missing, f"publish a unit of {_listed(missing)}")


def _crossing_row(subject: _Subject) -> Iterator[Row]:
    """Every border crossing covered by a station or regional unit."""
    criterion = "every border crossing covered by a station or regional unit"
    own = [crossing.id for crossing in CROSSINGS.values() if subject.code in crossing.countries]
    if not own:
        yield Row(criterion, NOT_APPLICABLE, "no crossing of the list lies there")
        return
    at = subject.directory.units_at
    missing = [
        crossing
        for crossing in own
        if not (at(subject.code, "border_station", crossing) or at(subject.code, "regional", crossing))
    ]
    yield _row(criterion, not missing, f"add to the area of a station or regional unit: {_listed(missing)}")


def _confirmed_row(subject: _Subject) -> Iterator[Row]:
    """All 24/7 units confirmed within 90 days."""
    criterion = "24/7 units confirmed within 90 days"
    units = _round_the_clock(subject)
    if not units:
        yield Row(criterion, NOT_APPLICABLE, "no unit is open 24/7")
        return
    stale = [unit.slug for unit in units if not _is_confirmed(unit, subject.now)]
    yield _row(criterion, not stale, f"re-confirm {_listed(stale)}")


def _pings_row(subject: _Subject) -> Iterator[Row]:
    """All 24/7 units answering pings."""
    criterion, pings = "24/7 units answer pings", subject.facts.pings
    units = _round_the_clock(subject)
    if not units or pings is None:
        why = "not known here: pings are counted by the node that sends them" if units else "no unit is open 24/7"
        yield Row(criterion, NOT_APPLICABLE, why)
        return
    counts = {unit.slug: pings.get(unit.ref, (0, 0)) for unit in units}
    silent = [f"{slug} ({answered} of {sent})" for slug, (sent, answered) in counts.items() if answered < sent]
    yield _row(criterion, not silent, f"find out why pings were missed: {_listed(silent)}")


def _round_the_clock(subject: _Subject) -> list[Unit]:
    return [unit for unit in subject.directory.units_of(subject.code) if unit.hours.always_open]


def _is_confirmed(unit: Unit, now: dt.datetime) -> bool:
    return unit.verified_at is not None and now - unit.verified_at <= freshness.VALID_FOR


def _statistics_row(subject: _Subject) -> Iterator[Row]:
    """Statistics of last year complete."""
    criterion, year = "statistics of last year complete", subject.now.year - 1
    if subject.facts.statistics_complete is None:
        yield Row(criterion, NOT_APPLICABLE, "not known here: each node keeps its own")
    else:
        yield _row(criterion, subject.facts.statistics_complete, f"complete the statistics of {year} by 1 March")


def _keys_row(subject: _Subject) -> Iterator[Row]:
    """Keys younger than a year."""
    criterion, made_at = "keys younger than a year", subject.facts.oldest_key_at
    if made_at is None:
        yield Row(criterion, NOT_APPLICABLE, "not known here: the age of the keys is not published")
    else:
        is_young = subject.now - made_at < KEYS_YOUNGER_THAN
        yield _row(criterion, is_young, "rotate the keys: veza keys rotate")


def _listed(names: Sequence[str]) -> str:
    """Return names as text, not endlessly many."""
    shown = ", ".join(names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


_CRITERIA: Sequence[Callable[[_Subject], Iterator[Row]]] = (
    _spoc_rows,
    _named_units_rows,
    _connection_rows,
    _agency_rows,
    _crossing_row,
    _confirmed_row,
    _pings_row,
    _statistics_row,
    _keys_row,
)
