"""Which pushes are due, decided without a database or network."""

import datetime as dt

import pytest

from federation.participants import TrustedNode
from sync.push import FIRST_PAUSE, LONGEST_PAUSE, Push, Pushed, Statement, pause, plan_pushes

NOW = dt.datetime(2026, 11, 21, 20, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)
CONFIGURATION = Statement("configuration", "c1", NOW)
CHECKPOINT = Statement("checkpoint", "k1", NOW)
BOTH = (CONFIGURATION, CHECKPOINT)


def peer(participant: str = "RS") -> TrustedNode:
    return TrustedNode(participant, f"https://{participant.lower()}.example", "anchor", {}, None, None, None, ())


def taken(statement: Statement, failures: int = 0, retry_at: dt.datetime | None = None) -> Pushed:
    return Pushed(statement.digest, failures, retry_at)


def test_peer_that_has_nothing_gets_everything_in_order() -> None:
    assert plan_pushes([peer()], BOTH, {}, NOW) == ([Push(peer(), BOTH)], None)


def test_peer_that_has_all_gets_nothing() -> None:
    pushed = {("RS", statement.kind): taken(statement) for statement in BOTH}
    assert plan_pushes([peer()], BOTH, pushed, NOW) == ([], None)


def test_peer_gets_only_what_is_new() -> None:
    pushed = {
        ("RS", "configuration"): taken(CONFIGURATION),
        ("RS", "checkpoint"): taken(Statement("checkpoint", "k0", NOW)),
    }
    assert plan_pushes([peer()], BOTH, pushed, NOW) == ([Push(peer(), (CHECKPOINT,))], None)


@pytest.mark.parametrize(("seconds", "due"), [(-1, True), (0, True), (1, False)])
def test_failed_push_waits_for_its_pause_also_when_there_is_something_newer(seconds: int, due: bool) -> None:
    retry_at = NOW + seconds * SECOND
    for last in (CHECKPOINT, Statement("checkpoint", "k0", NOW)):
        pushed = {("RS", "checkpoint"): taken(last, 3, retry_at)}
        plan, again = plan_pushes([peer()], (CHECKPOINT,), pushed, NOW)
        assert (bool(plan), again) == (due, None if due else retry_at)


def test_a_new_configuration_waits_for_no_pause() -> None:
    """It may remove a key; the checkpoint behind it waits as before."""
    later = NOW + 600 * SECOND
    pushed = {
        ("RS", "configuration"): taken(Statement("configuration", "c0", NOW), 20, later),
        ("RS", "checkpoint"): taken(CHECKPOINT, 20, later),
    }
    assert plan_pushes([peer()], BOTH, pushed, NOW) == ([Push(peer(), (CONFIGURATION,))], later)
    pushed[("RS", "configuration")] = taken(CONFIGURATION, 1, later)
    assert plan_pushes([peer()], BOTH, pushed, NOW) == ([], later)


def test_soonest_pause_says_when_to_look_again() -> None:
    pushed = {
        (code, "checkpoint"): taken(CHECKPOINT, 1, NOW + seconds * SECOND) for code, seconds in (("RS", 9), ("MK", 4))
    }
    assert plan_pushes([peer("RS"), peer("MK")], (CHECKPOINT,), pushed, NOW) == ([], NOW + 4 * SECOND)


def test_nobody_to_tell() -> None:
    assert plan_pushes([], BOTH, {}, NOW) == ([], None)


def test_nothing_to_tell() -> None:
    assert plan_pushes([peer()], (), {}, NOW) == ([], None)


@pytest.mark.parametrize(("failures", "seconds"), [(0, 1), (1, 1), (2, 2), (5, 16), (10, 512), (11, 600), (500, 600)])
def test_pauses_grow_from_a_second_to_ten_minutes(failures: int, seconds: int) -> None:
    assert pause(failures) == seconds * SECOND
    assert FIRST_PAUSE <= pause(failures) <= LONGEST_PAUSE


def test_statements_are_told_apart_by_their_bytes() -> None:
    assert CHECKPOINT.digest != CONFIGURATION.digest
    assert CHECKPOINT.digest == Statement("checkpoint", "k1", NOW + SECOND).digest
