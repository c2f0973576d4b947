"""The ranked answer as the Find page shows it."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass

from directory.answers import Answer, Candidate, Rejected
from directory.duty import Duty
from directory.index import Directory
from directory.places import crossing_title
from directory.values import Unit
from directory.vocabulary import CROSSINGS
from web.held import Held
from web.labels import CHANNELS, LANGUAGES, RULES, crime_area, language, spoken_number
from web.presentation import Clocks, Moment, Named, Shown, country_name, named_unit, show_freshness


@dataclass(frozen=True, slots=True)
class Line:
    """A labelled line."""

    label: str
    text: str


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a contact stands where it does, and by which rule."""

    text: str
    rule: str


@dataclass(frozen=True, slots=True)
class OnDuty:
    """Who answers, until when."""

    name: str
    until: Moment | None


@dataclass(frozen=True, slots=True)
class CandidateCard:
    """One contact of the answer."""

    unit: Named
    channel: str
    phone: str | None
    spoken: str
    lines: Sequence[Line]
    on_duty: OnDuty | None
    their_time: str
    my_time: str
    open: bool
    opens: Moment | None
    language: str
    freshness: Shown
    reasons: Sequence[Reason]


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """A contact that a rule removed."""

    unit: Named | None
    channel: str
    rule: str
    reason: str
    opens: Moment | None


@dataclass(frozen=True, slots=True)
class AnswerView:
    """The whole answer."""

    title: str
    question: str
    candidates: Sequence[CandidateCard]
    due: Moment | None
    due_rule: str
    language: str
    execution: Named | None
    copies: Sequence[Named]
    europol: bool
    rejected: Sequence[RejectedRow]
    notes: Sequence[str]


def show_answer(answer: Answer, here: Held, now: dt.datetime) -> AnswerView:
    """An answer in words, names and local times."""
    query, directory = answer.query, here.directory
    clocks = Clocks(directory.participants[query.country].zone, directory.participants[query.asker].zone, now)
    deadline = answer.deadline
    return AnswerView(
        title=f"{country_name(here, query.asker)} asks {country_name(here, query.country)}",
        question=_question(answer),
        candidates=[_card(candidate, directory, clocks) for candidate in answer.candidates],
        due=clocks.optional(deadline.due if deadline else None),
        due_rule=_due_rule(deadline.rule, deadline.profile) if deadline else "",
        language=language(answer.language) if answer.candidates else "—",
        execution=named_unit(answer.execution_unit) if answer.execution_unit else None,
        copies=[named_unit(unit) for unit in answer.copy_to],
        europol=answer.europol_copy_assessment,
        rejected=[_rejected(rejected, clocks) for rejected in answer.rejected],
        notes=answer.notes,
    )


def contact_lines(unit: Unit, channel: str | None = None) -> list[Line]:
    """How a unit is reached beside its telephone: mail, and its address on a channel, or on each."""
    lines = [Line("Mail", unit.email)] if unit.email else []
    shown = unit.addresses if channel is None else {channel: unit.addresses.get(channel)}
    return lines + [Line(CHANNELS.get(name, name), address) for name, address in shown.items() if address]


def show_duty(duty: Duty, clocks: Clocks) -> OnDuty | None:
    """Who is on duty, by name where the directory has one."""
    if duty.slug is None:
        return None
    name = duty.member.name if duty.member else duty.slug
    return OnDuty(name, clocks.optional(duty.until))


def _question(answer: Answer) -> str:
    query = answer.query
    parts = [crime_area(query.crime_area), query.urgency, f"{query.access} access", query.classification.lower()]
    return ", ".join(parts + ([f"at {_place(query.location)}"] if query.location else []))


def _place(location: str) -> str:
    crossing = CROSSINGS.get(location)
    return location if crossing is None else crossing_title(crossing)


def _due_rule(rule: str, profile: str) -> str:
    kind = "legal, Directive (EU) 2023/977" if profile == "eu_2023_977" else "agreed"
    return f"{RULES.get(rule, rule)} ({kind})"


def _card(candidate: Candidate, directory: Directory, clocks: Clocks) -> CandidateCard:
    unit = candidate.unit
    theirs = Clocks(directory.zone_of(unit), clocks.mine, clocks.now)
    phone = (candidate.duty.member.phone if candidate.duty.member else None) or unit.phone
    fresh = candidate.freshness
    return CandidateCard(
        unit=named_unit(unit),
        channel=CHANNELS.get(candidate.channel, candidate.channel),
        phone=phone,
        spoken=spoken_number(phone or ""),
        lines=_reach(unit, candidate.channel, phone),
        on_duty=show_duty(candidate.duty, theirs),
        their_time=theirs.their_time(),
        my_time=theirs.my_time(),
        open=candidate.opening.is_open,
        opens=theirs.optional(candidate.opening.next_opening),
        language=language(candidate.language),
        freshness=show_freshness(fresh.state, fresh.age_s, fresh.verification),
        reasons=[_reason(reason) for reason in candidate.reasons],
    )


def _reason(text: str) -> Reason:
    """A reason with its rule apart, so that the words come first."""
    rule, found, words = text.partition(": ")
    if not found or not rule.startswith("R"):
        rule, words = "", text
    first = words.partition(",")[0]  # a language code stays as it is
    return Reason(words if first in LANGUAGES else f"{words[:1].upper()}{words[1:]}", rule)


def _reach(unit: Unit, channel: str, phone: str | None) -> list[Line]:
    """The desk's own number stands beside that of the person on duty."""
    desk = [Line("Desk", spoken_number(unit.phone))] if unit.phone and unit.phone != phone else []
    return desk + contact_lines(unit, channel)


def _rejected(rejected: Rejected, clocks: Clocks) -> RejectedRow:
    return RejectedRow(
        unit=named_unit(rejected.unit) if rejected.unit else None,
        channel=CHANNELS.get(rejected.channel, rejected.channel),
        rule=rejected.rule,
        reason=f"{rejected.reason[:1].upper()}{rejected.reason[1:]}",
        opens=clocks.optional(rejected.next_opening),
    )
