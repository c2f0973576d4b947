import datetime as dt

import pytest

from sync.clock_watch import ClockWatch, PeerClock, most_agree, read_date, utc_now

NOW = dt.datetime(2026, 11, 21, 20, 0, tzinfo=dt.UTC)
SECOND = dt.timedelta(seconds=1)


class Clocks:
    """A wall clock and a monotonic one, moved by hand."""

    def __init__(self) -> None:
        self.wall, self.running = NOW, 5.0
        self.watch = ClockWatch(lambda: self.wall, lambda: self.running)

    def move(self, wall: float, running: float) -> None:
        self.wall += wall * SECOND
        self.running += running


@pytest.mark.parametrize(
    ("wall", "running", "jumped"),
    [
        pytest.param(86_400, 86_400, False, id="a day passes"),
        pytest.param(86_400, 85_801, False, id="slewed by less than ten minutes"),
        pytest.param(600, 0, False, id="ten minutes"),
        pytest.param(601, 0, True, id="more than ten minutes"),
        pytest.param(-601, 0, True, id="back"),
        pytest.param(7200, 3600, True, id="an hour too much"),
        pytest.param(28_800, 1, True, id="suspended for a night"),
        pytest.param(-86_400, 60, True, id="reverted to yesterday"),
    ],
)
def test_a_jump_is_a_move_against_the_monotonic_clock(wall: float, running: float, jumped: bool) -> None:
    clocks = Clocks()
    clocks.move(wall, running)
    assert clocks.watch.jump() == (wall - running) * SECOND
    text, is_new = clocks.watch.look()
    assert (text is not None, is_new) == (jumped, jumped)
    assert clocks.watch.look()[1] is False


def test_it_is_believed_again_once_for_each_confirmation() -> None:
    clocks = Clocks()
    clocks.move(3600, 0)
    clocks.watch.look()
    clocks.watch.believe(None)
    assert clocks.watch.look()[0] is not None
    clocks.watch.believe(NOW)
    assert clocks.watch.look() == (None, False)
    clocks.move(3600, 0)
    clocks.watch.believe(NOW)
    assert clocks.watch.look() == ("jumped: the clock moved by 3600 s against the time that passed", True)


@pytest.mark.parametrize(
    ("offsets", "agree"),
    [
        ((), False),
        ((0,), False),
        ((0, 0), True),
        ((300, -300), True),
        ((0, 301), False),
        ((0, 0, 301), True),
        ((0, 0, 301, 301), False),
        ((0, 0, 0, 301, 301), True),
        ((86_400,) * 5, False),
    ],
)
def test_most_of_those_that_answer_two_at_least(offsets: tuple[int, ...], agree: bool) -> None:
    assert most_agree(PeerClock("RS", offset * SECOND) for offset in offsets) is agree


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("Sat, 21 Nov 2026 20:00:00 GMT", NOW),
        ("Sat, 21 Nov 2026 21:00:00 +0100", NOW),
        ("Sat, 21 Nov 2026 20:00:00 -0000", NOW),
        ("", None),
        ("now", None),
        ("Sat, 31 Nov 2026 20:00:00 GMT", None),
        ("1795291200", None),
    ],
)
def test_the_date_of_an_answer(text: str, instant: dt.datetime | None) -> None:
    assert read_date(text) == instant


def test_the_clock_of_a_machine_is_aware() -> None:
    assert utc_now().utcoffset() == dt.timedelta(0)
