"""How ready a participant is: each criterion met, not met and not applicable."""

import datetime as dt

import pytest

from directory.document import Document
from directory.errors import NotFoundError
from directory.index import Directory
from directory.readiness import NodeFacts, report
from directory.vocabulary import CROSSINGS
from tests.unit.directory.asking import country, open_policy, policy, policy_with, region, unit

NOW = dt.datetime(2027, 2, 9, 9, 0, tzinfo=dt.UTC)
ROTA = {
    "unit": "qb-spoc",
    "time_zone": "Etc/UTC",
    "layers": [{"members": ["m1", "m2"], "start": "2027-01-01T08:00", "rotation": {"every": 12, "unit": "hours"}}],
    "overrides": [],
}
DAYTIME = [{"weekdays": ["mon"], "start": "08:00", "end": "16:00"}]
CONFIRMED = {"verified_at": "2027-02-01T00:00:00Z"}
READY = {
    "unit/qb-spoc": unit("qb-spoc", "spoc", channels=["siena"], agency="qb-police", **CONFIRMED),
    "unit/qb-enu": unit("qb-enu", "enu", agency="qb-customs", **CONFIRMED),
    "unit/qb-ncb": unit("qb-ncb", "ncb", agency="qb-border", **CONFIRMED),
    "unit/qb-sirene": unit("qb-sirene", "sirene", agency="qb-tax", **CONFIRMED),
    "agency/qb-police": {"name": {"en": "Police"}, "kind": "police", "level": "central"},
    "agency/qb-border": {"name": {"en": "Border police"}, "kind": "border_police", "level": "central"},
    "agency/qb-customs": {"name": {"en": "Customs"}, "kind": "customs", "level": "central"},
    "agency/qb-tax": {"name": {"en": "Tax"}, "kind": "tax", "level": "central"},
    "member/m1": {"name": "Duty officer 1", "phone": "+9990000011"},
    "member/m2": {"name": "Duty officer 2", "phone": "+9990000012", "unit": "qb-spoc"},
    "rota/r1": ROTA,
}
EVERYTHING_KNOWN = NodeFacts(
    pings={"QB:unit/qb-spoc": (6, 6)}, statistics_complete=True, oldest_key_at=NOW - dt.timedelta(days=100)
)


def _directory(changes=None, **members):
    own = country("QB", memberships=["SCHENGEN", "INTERPOL"], **members).records
    records = {**own, **READY, **(changes or {})}
    kept = {record: data for record, data in records.items() if data is not None}
    return Directory.from_documents([Document("QB", kept, [])])


def _states(directory=None, facts=EVERYTHING_KNOWN, rules=None, code="QB"):
    rows = report(directory or _directory(), code, NOW, rules or open_policy(), facts)
    return {row["criterion"]: row["state"] for row in rows}


def _what_to_do(criterion, directory=None, facts=EVERYTHING_KNOWN):
    rows = report(directory or _directory(), "QB", NOW, open_policy(), facts)
    return next(row["what_to_do"] for row in rows if row["criterion"] == criterion)


def test_a_participant_that_is_ready_meets_all_that_applies():
    states = _states()
    assert states.pop("every border crossing covered by a station or regional unit") == "not_applicable"
    assert set(states.values()) == {"met"}


@pytest.mark.parametrize(
    ("criterion", "changes", "what_to_do"),
    [
        ("one active SPOC", {"unit/qb-spoc2": unit("qb-spoc2", "spoc", **CONFIRMED)}, "exactly one"),
        ("one active SPOC", {"unit/qb-spoc": None}, "found 0"),
        ("SPOC open 24/7", {"unit/qb-spoc": None}, "publish the SPOC first"),
        (
            "SPOC open 24/7",
            {"unit/qb-spoc": unit("qb-spoc", "spoc", hours="Mo-Fr 08:00-16:00")},
            "set the hours of qb-spoc to 24/7",
        ),
        ("SPOC's rota without a gap for 30 days", {"rota/r1": None}, "it has no rota"),
        (
            "SPOC's rota without a gap for 30 days",
            {"rota/r1": {**ROTA, "layers": [{**ROTA["layers"][0], "restrictions": DAYTIME}]}},
            "nobody from 2027-02-09 09:00 UTC",
        ),
        ("at least two members of the SPOC reachable by phone", {"member/m2": {"name": "Duty officer 2"}}, "(1)"),
        (
            "English among the SPOC's languages",
            {"unit/qb-spoc": unit("qb-spoc", "spoc", languages=["sr"])},
            "add en to the languages of qb-spoc",
        ),
        ("Europol unit named", {"unit/qb-enu": None}, "publish a unit of kind enu"),
        ("INTERPOL NCB named", {"unit/qb-ncb": None}, "publish a unit of kind ncb"),
        ("SIRENE bureau named", {"unit/qb-sirene": None}, "publish a unit of kind sirene"),
        ("customs agencies reachable through a unit", {"unit/qb-enu": unit("qb-enu", "enu")}, "qb-customs"),
        ("24/7 units confirmed within 90 days", {"unit/qb-x": unit("qb-x", "ncb")}, "re-confirm qb-x"),
        (
            "24/7 units confirmed within 90 days",
            {"unit/qb-x": unit("qb-x", "ncb", verified_at="2026-11-01", valid_until="2028-01-01")},
            "re-confirm qb-x",
        ),
    ],
)
def test_what_is_not_met_says_what_to_do(criterion, changes, what_to_do):
    directory = _directory(changes)
    assert _states(directory)[criterion] == "not_met"
    assert what_to_do in _what_to_do(criterion, directory)


@pytest.mark.parametrize("channel", ["siena", "i247"])
@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"connected": False}, "not_met"),
        ({"connected": False, "substitute": "mission"}, "met"),
        ({"connected": True, "max": "RESTRICTED"}, "met"),
    ],
)
def test_a_connection_or_what_stands_in_its_place(channel, members, expected):
    name = {"siena": "SIENA", "i247": "I-24/7"}[channel]
    assert _states(_directory(channels={channel: members}))[f"{name} connection or the declared substitute"] == expected


@pytest.mark.parametrize(
    ("facts", "criterion", "expected"),
    [
        (NodeFacts(), "24/7 units answer pings", "not_applicable"),
        (NodeFacts(pings={}), "24/7 units answer pings", "met"),
        (NodeFacts(pings={"QB:unit/qb-ncb": (2, 1)}), "24/7 units answer pings", "not_met"),
        (NodeFacts(), "statistics of last year complete", "not_applicable"),
        (NodeFacts(statistics_complete=False), "statistics of last year complete", "not_met"),
        (NodeFacts(), "keys younger than a year", "not_applicable"),
        (NodeFacts(oldest_key_at=NOW - dt.timedelta(days=365)), "keys younger than a year", "not_met"),
    ],
)
def test_what_only_a_node_knows(facts, criterion, expected):
    assert _states(facts=facts)[criterion] == expected
    if expected != "met":
        assert _what_to_do(criterion, facts=facts)


def test_unanswered_pings_are_counted():
    facts = NodeFacts(pings={"QB:unit/qb-ncb": (2, 1), "QB:unit/other": (1, 0)})
    assert _what_to_do("24/7 units answer pings", facts=facts) == "find out why pings were missed: qb-ncb (1 of 2)"


def test_a_participant_without_round_the_clock_units_has_none_to_confirm():
    shut = {record: {**data, "hours": "Mo-Fr 08:00-16:00"} for record, data in READY.items() if "unit/" in record}
    states = _states(_directory(shut))
    assert states["24/7 units confirmed within 90 days"] == "not_applicable"
    assert states["24/7 units answer pings"] == "not_applicable"


def test_an_agency_that_is_not_listed_is_not_asked_for():
    assert _states(_directory({"agency/qb-tax": None}))["tax agencies reachable through a unit"] == "not_applicable"


def test_the_policy_may_put_something_in_a_channels_place():
    gate = {"between": ["QB", "*"], "replace": {"i247": "mission"}, "reason": "by treaty"}
    directory = _directory({"unit/qb-ncb": None, "agency/qb-border": None}, channels={})
    states = _states(directory, rules=policy_with(gates=[gate]))
    assert states["I-24/7 connection or the declared substitute"] == "met"
    assert states["INTERPOL NCB named"] == "not_applicable"
    assert states["SIENA connection or the declared substitute"] == "not_met"


def test_crossings_without_a_unit_are_named_though_not_endlessly():
    rows = report(region(), "RS", NOW, policy())
    row = next(row for row in rows if row["criterion"].startswith("every border crossing"))
    assert row["state"] == "met" or "add to the area of" in row["what_to_do"]
    bare = Directory.from_documents([country("RS")])
    row = next(row for row in report(bare, "RS", NOW, policy()) if row["criterion"].startswith("every border crossing"))
    own = sum(1 for crossing in CROSSINGS.values() if "RS" in crossing.countries)
    assert row["state"] == "not_met"
    assert row["what_to_do"].endswith(f"and {own - 10} more")


def test_an_organisation_has_no_spoc_and_no_connections_to_show():
    own = country("QB", channels={}).records["participant/self"]
    del own["country"]
    directory = Directory.from_documents([Document("QORG", {"participant/self": {**own, "organisation": "QORG"}}, [])])
    assert set(_states(directory, NodeFacts(), code="QORG").values()) == {"not_applicable"}


@pytest.mark.parametrize("code", ["ZZ", "", "rs"])
def test_an_unknown_participant_is_not_found(code):
    with pytest.raises(NotFoundError, match="expected a participant of the directory"):
        report(region(), code, NOW, policy())


@pytest.mark.parametrize("code", sorted(region().participants))
def test_every_country_of_the_region_gets_every_row(code):
    rows = report(region(), code, NOW, policy())
    assert len(rows) == len({row["criterion"] for row in rows}) == 19
    for row in rows:
        assert row["state"] in {"met", "not_met", "not_applicable"}
        assert (row["what_to_do"] == "") is (row["state"] == "met")
