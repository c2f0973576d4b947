"""Where a signed checkpoint stands beside a held log, from the stored bytes alone."""

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.checkpoint import Checkpoint
from federation.comparison import find_contradicting, place_checkpoint, remember_proven
from federation.head import Head
from federation.log import append_entries, compute_roots, create_log, load_seen_root
from tests.simulators.node_simulator import SimulatedNode, named_identity

HELD = 300


@pytest.fixture
def origin() -> SimulatedNode:
    origin = SimulatedNode(named_identity("RS"))
    origin.grow(HELD)
    return origin


@pytest.fixture
def head(engine: sa.Engine, origin: SimulatedNode) -> Head:
    """Held in two steps, so that a checkpoint of 260 entries was accepted too."""
    first = origin.copy()
    first.roll_back_to(260)
    with writing(engine) as session:
        head = create_log(session, "RS", own=False)
        head = append_entries(session, head, first.entries, first.frontier(), first.checkpoint(), first.now)
        return append_entries(session, head, origin.entries[260:], origin.frontier(), origin.checkpoint(), origin.now)


def signed(origin: SimulatedNode, size: int, *, rewritten: int | None = None) -> Checkpoint:
    other = origin.copy()
    other.grow(max(0, size - HELD))
    if rewritten is not None:
        other.rewrite(rewritten)
    other.roll_back_to(size)
    return other.checkpoint()


@pytest.mark.parametrize(
    ("size", "rewritten", "place"),
    [
        (HELD, None, "proven"),
        (HELD, 5, "contradicting"),
        (260, None, "proven"),
        (260, 5, "contradicting"),
        (261, None, "unproven"),
        (261, 5, "unproven"),
        (0, None, "proven"),
        (HELD + 1, None, "ahead"),
        (HELD + 1, 5, "ahead"),
    ],
)
def test_what_is_known_without_work(
    engine: sa.Engine, origin: SimulatedNode, head: Head, size: int, rewritten: int | None, place: str
) -> None:
    with reading(engine) as session:
        assert place_checkpoint(session, head, signed(origin, size, rewritten=rewritten)) == place


def test_one_pass_judges_all_sizes(engine: sa.Engine, origin: SimulatedNode, head: Head) -> None:
    true = [signed(origin, size) for size in (0, 1, 7, 255, 256, 257, 299, HELD)]
    false = [signed(origin, size, rewritten=0) for size in (1, 7, 255, 260, 299, HELD)]
    ahead = [signed(origin, HELD + 1), signed(origin, HELD + 9, rewritten=3)]
    with reading(engine) as session:
        judged = find_contradicting(session, head, [*true, *false, *ahead])
    assert judged == dict.fromkeys(true, False) | dict.fromkeys(false, True)


def test_a_pass_may_begin_at_a_frontier(engine: sa.Engine, origin: SimulatedNode, head: Head) -> None:
    since = origin.frontier(270)
    asked = [signed(origin, 269), signed(origin, 270), signed(origin, 280), signed(origin, 280, rewritten=275)]
    with reading(engine) as session:
        judged = find_contradicting(session, head, asked, since)
    assert judged == {asked[1]: False, asked[2]: False, asked[3]: True}


def test_what_was_proven_costs_nothing_when_it_comes_again(
    engine: sa.Engine, origin: SimulatedNode, head: Head
) -> None:
    checkpoint = signed(origin, 100)
    with writing(engine) as session:
        remember_proven(session, [checkpoint, checkpoint])
    with reading(engine) as session:
        assert load_seen_root(session, "RS", 100) == checkpoint.root
        assert place_checkpoint(session, head, checkpoint) == "proven"
        assert place_checkpoint(session, head, signed(origin, 100, rewritten=9)) == "contradicting"


def test_roots_of_sizes_that_are_not_held_are_left_out(engine: sa.Engine, origin: SimulatedNode, head: Head) -> None:
    with reading(engine) as session:
        roots = compute_roots(session, "RS", [HELD, 3, 3, HELD + 1])
        assert compute_roots(session, "RS", []) == {}
        assert compute_roots(session, "MK", [1]) == {}
    assert roots == {3: origin.frontier(3).root(), HELD: origin.root}
