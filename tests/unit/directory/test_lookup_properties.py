"""What holds of every answer, whoever asks what and when."""

import datetime as dt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.errors import InvalidInputError
from directory.index import Directory
from directory.lookup import lookup, parse_query
from directory.vocabulary import CLASSIFICATIONS, CRIME_AREAS, CROSSINGS, SUBJECTS
from tests.unit.directory.asking import NOW, TUESDAY_10, ask, documents, open_policy, policy, region, ways

_CODES = [document.participant for document in documents(with_organisations=True)]
_CHANNELS = ["siena", "i247", "selec", "sirene", "pccc", "liaison"]


@st.composite
def questions(draw):
    asker, requested = draw(st.lists(st.sampled_from(_CODES), min_size=2, max_size=2, unique=True))
    minutes = draw(st.integers(0, 2 * 366 * 24 * 60))
    at = dt.datetime(2026, 6, 1, tzinfo=dt.UTC) + dt.timedelta(minutes=minutes)
    return {
        "from": asker,
        "country": requested,
        "crime_area": draw(st.sampled_from(sorted(CRIME_AREAS))),
        "location": draw(st.sampled_from([None, "RS-07", *sorted(CROSSINGS)])),
        "urgency": draw(st.sampled_from(["urgent", "routine"])),
        "access": draw(st.sampled_from(["direct", "indirect"])),
        "subject": draw(st.sampled_from(sorted(SUBJECTS))),
        "classification": draw(st.sampled_from(CLASSIFICATIONS)),
        "language": draw(st.sampled_from(["sr", "en", "sq", "hr", "ro", None])),
        "at": at.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "involves": draw(st.lists(st.sampled_from(["EG", "UA", "TR", "US"]), max_size=2)),
        "outages": draw(
            st.lists(st.sampled_from([*_CHANNELS, *(f"{requested}:{channel}" for channel in _CHANNELS)]), max_size=3)
        ),
    }


def _answer(fields):
    directory = region(with_organisations=True)
    return lookup(parse_query(fields, directory, NOW), directory, policy(), lambda code: None)


@settings(max_examples=300, deadline=None)
@given(questions())
def test_what_holds_of_every_answer(fields):
    answer = _answer(fields)
    refs = [candidate.unit.ref for candidate in answer.candidates]
    assert len(refs) == len(set(refs)) <= 3
    for candidate in answer.candidates:
        is_kept = fields["classification"] == "SECRET" and candidate.channel == "liaison"
        assert candidate.opening.is_open or fields["urgency"] == "routine" or is_kept
        assert not (candidate.opening.is_open and candidate.opening.next_opening)
        assert candidate.reasons
    for rejected in answer.rejected:
        assert rejected.rule in {"R1", "R2", "R3", "R5", "R6", "R12", "R14"}
        assert rejected.reason
    if answer.execution_unit and refs:
        assert answer.execution_unit.ref != refs[0]
    assert (answer.deadline is None) == (fields["subject"] == "mla" or len(fields["country"]) > 2)
    assert answer.candidates or answer.rejected


@settings(max_examples=300, deadline=None)
@given(questions())
def test_no_answer_uses_a_channel_that_one_side_has_not(fields):
    directory = region(with_organisations=True)
    rules = policy()
    standings = [rules.standing(directory.participants[fields[side]]) for side in ("from", "country")]
    down = {outage.rpartition(":")[2] for outage in fields["outages"]}
    for candidate in _answer(fields).candidates:
        if "call-ahead" in candidate.reasons[0]:
            continue
        if candidate.channel in rules.connections:
            assert all(candidate.channel in standing.ceilings for standing in standings)
        assert candidate.channel not in down


@settings(max_examples=200, deadline=None)
@given(questions())
def test_every_way_to_ask_is_either_in_the_answer_or_rejected(fields):
    answer = _answer(fields)
    if len(fields["country"]) > 2:
        return
    shown = [candidate.channel for candidate in answer.candidates] + [each.channel for each in answer.rejected]
    kosovo = "XK" in (fields["from"], fields["country"])
    for channel in policy().order(fields["from"], fields["country"]):
        assert ("mission" if kosovo and channel == "i247" else channel) in shown


@settings(max_examples=100, deadline=None)
@given(questions(), st.randoms())
def test_the_order_in_which_records_arrive_does_not_matter(fields, random):
    shuffled = list(documents(with_organisations=True))
    random.shuffle(shuffled)
    wanted = {fields["from"], fields["country"], "TR", "INTERPOL"}
    here = [document for document in documents(with_organisations=True) if document.participant in wanted]
    there = [document for document in shuffled if document.participant in wanted]
    answers = []
    for chosen in (here, there):
        directory = Directory.from_documents(chosen)
        answers.append(lookup(parse_query(fields, directory, NOW), directory, policy(), lambda code: None))
    assert [(each.unit.ref, each.channel) for each in answers[0].candidates] == [
        (each.unit.ref, each.channel) for each in answers[1].candidates
    ]


@settings(max_examples=100, deadline=None)
@given(questions())
def test_asking_twice_gives_the_same_answer(fields):
    assert _answer(fields) == _answer(fields)


def test_questions_that_cannot_be_asked_are_refused():
    with pytest.raises(InvalidInputError):
        ask(asker="RS", country="RS")


def test_an_open_policy_gives_serbia_and_kosovo_every_channel():
    """The gates are data: without them the code knows nothing of the pair."""
    assert ways(ask(None, open_policy(), asker="RS", country="XK", at=TUESDAY_10)) == [
        "siena xk-spoc",
        "liaison xk-lo-europol",
        "bilateral xk-ops-centre",
    ]
