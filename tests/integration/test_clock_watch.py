"""Clocks that cannot be right, at boot and while a node runs, and how they heal (abuse.md F12, F14, F26)."""

import datetime as dt
import email.utils
from dataclasses import dataclass, field

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.errors import ClockError
from federation.own_configuration import renew_configuration
from federation.own_node import OwnNode, accept_clock, check_clock_plausible, forget_acceptance, load_own_node
from federation.publishing import PendingChange, publish, renew_checkpoint
from sync.clock_watch import ClockWatch, confirm_clock, look_at_clock
from sync.transport import JSON, Response
from tests.simulators.follower import Follower, make_follower, pin
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW, duty_officer

SECOND = dt.timedelta(seconds=1)
MINUTE = dt.timedelta(minutes=1)
HOUR = dt.timedelta(hours=1)
DAY = dt.timedelta(days=1)


@dataclass
class Machine:
    """A machine whose clocks the test moves, with a node on it."""

    here: Follower
    wall: dt.datetime = NOW
    running: float = 1000.0
    watch: ClockWatch = field(init=False)

    def __post_init__(self) -> None:
        self.boot()

    def boot(self) -> None:
        """A process starts."""
        self.watch = ClockWatch(lambda: self.wall, lambda: self.running)

    def run(self, time: dt.timedelta) -> OwnNode:
        """Time passes."""
        self.wall += time
        self.running += time.total_seconds()
        return self.look()

    def step(self, time: dt.timedelta) -> OwnNode:
        """The wall clock alone moves: somebody set it, or the machine was suspended meanwhile."""
        self.wall += time
        return self.look()

    def look(self) -> OwnNode:
        return look_at_clock(self.here.node, self.watch)

    def sign(self) -> dt.datetime:
        """Save a record at the machine's time: the checkpoint's ``iat``."""
        with writing(self.here.engine) as session:
            change = PendingChange("member/m-1", "put", duty_officer(int(self.wall.timestamp())))
            return publish(session, self.here.node.identity, [change], self.wall).issued_at

    def check_signs_nothing(self) -> None:
        before, identity = self.here.snapshot("ME"), self.here.node.identity
        with pytest.raises(ClockError, match="clock_implausible"):
            self.sign()
        with pytest.raises(ClockError, match="clock_implausible"), writing(self.here.engine) as session:
            renew_checkpoint(session, identity, self.wall)
        with pytest.raises(ClockError, match="clock_implausible"), writing(self.here.engine) as session:
            renew_configuration(session, identity, name="", now=self.wall)
        with pytest.raises(ClockError, match="clock_implausible"), reading(self.here.engine) as session:
            check_clock_plausible(session, self.wall)
        assert self.here.snapshot("ME") == before


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def machine(engine: sa.Engine, network: SimulatedNetwork) -> Machine:
    here = make_follower(engine, network)
    for code in ("RS", "MK", "AL"):
        pin(here, network.add(code, enrolled=False))
    return Machine(here)


def tell(network: SimulatedNetwork, code: str, at: dt.datetime) -> None:
    """What the clock of a peer shows."""
    headers = {"date": email.utils.format_datetime(at, usegmt=True)}
    network.faults[f"{code.lower()}.example/healthz"] = lambda url: Response(200, JSON, b"{}", headers)


def tell_all(network: SimulatedNetwork, at: dt.datetime) -> None:
    for code in ("RS", "MK", "AL"):
        tell(network, code, at)


def own(machine: Machine) -> OwnNode:
    with reading(machine.here.engine) as session:
        return load_own_node(session)


class TestAtBoot:
    @pytest.mark.parametrize(
        ("year", "rule"), [(1970, "before_release"), (2100, "after_program"), (9999, "after_program")]
    )
    def test_1970_and_2100(self, machine: Machine, year: int, rule: str) -> None:
        machine.wall = dt.datetime(year, 1, 2, tzinfo=dt.UTC)
        machine.boot()
        machine.check_signs_nothing()  # before anybody has looked
        found = machine.look()
        assert found.clock_refused is not None
        assert found.clock_refused.startswith(f"{rule}: ")
        machine.check_signs_nothing()

    def test_before_the_last_signature(self, machine: Machine) -> None:
        machine.wall -= 301 * SECOND
        machine.boot()
        assert str(machine.look().clock_refused).startswith("before_signature: ")
        machine.check_signs_nothing()

    @pytest.mark.parametrize("ahead", [-300 * SECOND, 0 * SECOND, DAY, 400 * DAY])
    def test_plausible(self, machine: Machine, ahead: dt.timedelta) -> None:
        machine.wall += ahead
        machine.boot()
        assert machine.look() == OwnNode()
        assert machine.sign() >= NOW

    def test_it_signs_as_soon_as_the_clock_is_right(self, machine: Machine) -> None:
        machine.wall = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        machine.boot()
        machine.look()
        machine.wall = NOW + MINUTE
        machine.boot()
        assert machine.look() == OwnNode()
        assert machine.sign() == NOW + MINUTE

    def test_set_right_while_it_runs_it_is_a_jump_that_the_peers_confirm(self, machine: Machine, network) -> None:
        machine.wall = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
        machine.boot()
        machine.look()
        machine.wall = NOW + MINUTE
        tell_all(network, machine.wall)
        machine.look()
        confirm_clock(machine.here.node, lambda: machine.wall)
        found = machine.look()
        assert (found.clock_refused, found.held_back) == (None, "clock")


class TestJumps:
    @pytest.mark.parametrize("step", [DAY, -DAY, HOUR, 601 * SECOND, -601 * SECOND])
    def test_a_jump_signs_nothing_and_compares_the_log_again(self, machine: Machine, step: dt.timedelta) -> None:
        machine.run(HOUR)
        found = machine.step(step)
        assert str(found.clock_refused).startswith("jumped: ")
        assert found.held_back == "clock"
        machine.check_signs_nothing()

    @pytest.mark.parametrize("step", [599 * SECOND, -599 * SECOND])
    def test_a_small_step_is_none(self, machine: Machine, step: dt.timedelta) -> None:
        machine.run(HOUR)
        assert machine.step(step) == OwnNode()

    def test_small_steps_add_up(self, machine: Machine) -> None:
        machine.step(400 * SECOND)
        assert str(machine.step(400 * SECOND).clock_refused).startswith("jumped: ")

    def test_going_back_heals_but_the_log_is_still_compared(self, machine: Machine) -> None:
        machine.run(HOUR)
        machine.step(DAY)
        machine.run(5 * MINUTE)
        found = machine.step(-DAY)
        assert found.clock_refused is None
        assert found.held_back == "clock"

    def test_another_process_does_not_take_a_jump_back_that_it_did_not_see(self, machine: Machine) -> None:
        machine.step(DAY)
        machine.boot()
        machine.wall -= DAY
        machine.running += 60
        machine.boot()
        assert machine.look().clock_refused is not None

    def test_own_iat_never_goes_back(self, machine: Machine, network: SimulatedNetwork) -> None:
        """F12: signed a day ahead; set right, and confirmed, it signs with that last ``iat`` until time catches up."""
        machine.wall += DAY
        machine.boot()
        ahead = machine.sign()
        machine.wall -= DAY - MINUTE
        machine.boot()
        assert str(machine.look().clock_refused).startswith("before_signature: ")
        machine.check_signs_nothing()
        tell_all(network, machine.wall)
        assert confirm_clock(machine.here.node, lambda: machine.wall)
        machine.look()
        assert machine.sign() == ahead
        machine.run(2 * HOUR)
        assert machine.sign() == ahead
        machine.run(DAY)
        assert machine.sign() == machine.wall
        machine.here.check_logs()

    def test_a_confirmed_clock_that_goes_back_again_is_refused_again(self, machine: Machine, network) -> None:
        machine.wall += DAY
        machine.sign()
        machine.wall -= DAY
        machine.boot()
        machine.look()
        tell_all(network, machine.wall)
        confirm_clock(machine.here.node, lambda: machine.wall)
        machine.wall -= HOUR
        machine.boot()
        assert str(machine.look().clock_refused).startswith("before_signature: ")
        machine.check_signs_nothing()


class TestHealing:
    @pytest.fixture(autouse=True)
    def refused(self, machine: Machine) -> None:
        machine.step(DAY)

    def confirm(self, machine: Machine) -> bool:
        return confirm_clock(machine.here.node, lambda: machine.wall)

    def test_most_peers_agree(self, machine: Machine, network: SimulatedNetwork) -> None:
        tell_all(network, machine.wall + 299 * SECOND)
        tell(network, "AL", machine.wall - DAY)
        assert self.confirm(machine)
        assert machine.look().clock_refused is None
        assert machine.run(HOUR).clock_refused is None

    @pytest.mark.parametrize(
        "offsets",
        [
            pytest.param((), id="nobody answers"),
            pytest.param((0,), id="one alone"),
            pytest.param((0, 302), id="one of two"),
            pytest.param((0, -302, 302), id="one of three"),
            pytest.param((86_400, 86_400, 86_400), id="all say otherwise"),
        ],
    )
    def test_too_few_agree(self, machine: Machine, network: SimulatedNetwork, offsets: tuple[int, ...]) -> None:
        for code, offset in zip(("RS", "MK", "AL"), offsets, strict=False):
            tell(network, code, machine.wall + offset * SECOND)
        for code in ("RS", "MK", "AL")[len(offsets) :]:
            network.fail(f"{code.lower()}.example/healthz", "timeout")
        assert not self.confirm(machine)
        assert machine.look().clock_refused is not None
        machine.check_signs_nothing()

    @pytest.mark.parametrize("date", ["", "soon", "Sat, 99 Nov 2026 20:00:00 GMT"])
    def test_a_date_that_is_none_says_nothing(self, machine: Machine, network: SimulatedNetwork, date: str) -> None:
        for code in ("RS", "MK", "AL"):
            network.faults[f"{code.lower()}.example"] = lambda url: Response(200, JSON, b"{}", {"date": date})
        assert not self.confirm(machine)

    def test_every_process_believes_what_was_confirmed(self, machine: Machine, network: SimulatedNetwork) -> None:
        other = Machine(machine.here, machine.wall - DAY)
        other.wall = machine.wall
        tell_all(network, machine.wall)
        assert self.confirm(machine)
        assert other.look().clock_refused is None
        assert machine.look().clock_refused is None

    def test_an_operator_may_accept_it(self, machine: Machine) -> None:
        with writing(machine.here.engine) as session:
            accept_clock(session, machine.wall)
        assert machine.look().clock_refused is None
        assert own(machine).held_back == "clock"

    def test_a_confirmation_is_forgotten_once(self, machine: Machine) -> None:
        with writing(machine.here.engine) as session:
            accept_clock(session, machine.wall)
            assert not forget_acceptance(session, machine.wall - SECOND)
            assert forget_acceptance(session, machine.wall)
        assert own(machine).clock_accepted_at is None
