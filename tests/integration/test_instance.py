"""Whether a node runs elsewhere too, from a copied data directory (abuse.md C43)."""

import datetime as dt

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.encoding import dump_json
from federation.own_node import load_own_node
from sync.instance import (
    KEPT_FOR,
    find_copy,
    judge_instance,
    load_instance,
    purge_instances,
    read_shown,
    write_instance,
)
from sync.transport import JSON, Response
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork, answer, problem
from tests.simulators.node_simulator import NOW

SECOND = dt.timedelta(seconds=1)
FOREIGN = "f" * 43


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def here(engine: sa.Engine, network: SimulatedNetwork) -> Follower:
    return make_follower(engine, network)


def show(network: SimulatedNetwork, instance: object, participant: object = "ME", **members: object) -> None:
    body = dump_json({"status": "ok", "participant": participant, "instance": instance, **members})
    network.faults["me.example/healthz"] = lambda url: answer(body, JSON)


def show_own(network: SimulatedNetwork, here: Follower) -> None:
    """The node's own processes answer at its address."""

    def own(url: str) -> Response:
        with reading(here.engine) as session:
            return answer(dump_json({"status": "ok", "participant": "ME", "instance": load_instance(session)}), JSON)

    network.faults["me.example/healthz"] = own


def held_back(here: Follower) -> str | None:
    with reading(here.engine) as session:
        return load_own_node(session).held_back


def write(here: Follower, at: dt.datetime) -> str:
    with writing(here.engine) as session:
        return write_instance(session, at)


def test_its_own_newest_value_is_its_own(here: Follower, network: SimulatedNetwork) -> None:
    show_own(network, here)
    for hour in range(3):
        assert find_copy(here.node, NOW + hour * dt.timedelta(hours=1)) is None
    assert held_back(here) is None


def test_a_value_that_was_never_here_stops_the_node(here: Follower, network: SimulatedNetwork) -> None:
    show(network, FOREIGN)
    found = find_copy(here.node, NOW)
    assert found is not None
    assert "https://me.example is answered from another database" in found
    assert held_back(here) == "elsewhere"


def test_a_value_that_was_replaced_here_stops_the_node(here: Follower, network: SimulatedNetwork) -> None:
    """The data directory was copied while the other ran: its value is known to the copy, and still shown."""
    show(network, write(here, NOW))
    assert find_copy(here.node, NOW + SECOND) is not None
    assert held_back(here) == "elsewhere"


def test_a_value_that_another_process_has_just_written_does_not(here: Follower, network: SimulatedNetwork) -> None:
    with writing(here.engine) as session:
        written, later = write_instance(session, NOW), write_instance(session, NOW + SECOND)
        assert judge_instance(session, later, written) is None
        assert judge_instance(session, written, written) is None
        assert judge_instance(session, written, later) is not None


@pytest.mark.parametrize("code", ["unreachable", "timeout", "bad_response", "redirect_refused"])
def test_no_answer_proves_nothing(here: Follower, network: SimulatedNetwork, code: str) -> None:
    network.fail("me.example/healthz", code)
    assert find_copy(here.node, NOW) is None
    assert held_back(here) is None


@pytest.mark.parametrize(
    "response",
    [
        pytest.param(answer(b"<html>", JSON), id="a proxy's page"),
        pytest.param(answer(b"[]", JSON), id="a list"),
        pytest.param(answer(b'{"status":"ok"}', JSON), id="without an instance"),
        pytest.param(answer(b'{"instance":null}', JSON), id="a database that is away"),
        pytest.param(answer(b'{"instance":"short"}', JSON), id="another form"),
        pytest.param(answer(dump_json({"instance": FOREIGN, "participant": 7}), JSON), id="no code"),
        pytest.param(Response(502, JSON, dump_json({"instance": FOREIGN})), id="an error"),
        pytest.param(problem(503, "busy"), id="a problem"),
    ],
)
def test_another_form_is_no_answer(here: Follower, network: SimulatedNetwork, response: Response) -> None:
    network.faults["me.example/healthz"] = lambda url: response
    assert find_copy(here.node, NOW) is None
    assert read_shown(response, "ME") is None
    assert held_back(here) is None


def test_another_participants_node_has_another_log(here: Follower, network: SimulatedNetwork) -> None:
    show(network, FOREIGN, participant="RS")
    assert find_copy(here.node, NOW) is None
    assert held_back(here) is None


def test_each_question_is_one_of_its_own(here: Follower, network: SimulatedNetwork) -> None:
    show_own(network, here)
    find_copy(here.node, NOW)
    find_copy(here.node, NOW + SECOND)
    assert len({url for _, url in network.requests}) == 2


def test_values_are_forgotten_after_a_year_but_not_the_newest(here: Follower, engine: sa.Engine) -> None:
    first, second = write(here, NOW), write(here, NOW + SECOND)
    with writing(engine) as session:
        purge_instances(session, NOW + 2 * SECOND - KEPT_FOR)
        assert judge_instance(session, first, second) is not None
        assert "replaced" in str(judge_instance(session, first, second))
        purge_instances(session, NOW + KEPT_FOR)
        assert "never here" in str(judge_instance(session, first, second))
        assert load_instance(session) == second
