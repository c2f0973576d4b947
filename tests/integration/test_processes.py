"""Which process of a node is the first one, and what that means for the own log (protocol.md, section 5)."""

import datetime as dt
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database import make_engine, reading, writing
from federation.own_node import hold_back, load_own_node
from federation.participants import end_trust
from sync.processes import (
    SILENT_AFTER,
    begin_process,
    end_process,
    known_process,
    load_processes,
    register,
)
from sync.tables import ProcessRow
from tests.simulators.follower import Follower, make_follower, pin
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import NOW

ELSEWHERE = "other-host:0123456789ab:77:cafe0000"


@pytest.fixture
def here(engine: sa.Engine) -> Follower:
    network = SimulatedNetwork()
    follower = make_follower(engine, network)
    pin(follower, network.add("RS", enrolled=False))
    return follower


def held_back(here: Follower) -> str | None:
    with reading(here.engine) as session:
        return load_own_node(session).held_back


def set_back(here: Follower, reason: str | None) -> None:
    with writing(here.engine) as session:
        hold_back(session, reason)  # type: ignore[arg-type]


def names(here: Follower, now: dt.datetime = NOW) -> list[str]:
    with reading(here.engine) as session:
        return [row.name for row in load_processes(session, now)]


def mark(name: str) -> str:
    return name.rpartition(":")[2]


def test_the_first_holds_the_own_log_back_and_the_second_does_not(here: Follower) -> None:
    first = begin_process(here.engine, "serve", NOW)
    assert held_back(here) == "starting"
    set_back(here, None)
    second = begin_process(here.engine, "worker", NOW)
    assert held_back(here) is None
    assert names(here) == [first, second]


def test_after_all_have_ended_the_next_is_the_first_again(here: Follower) -> None:
    with known_process(here.engine, "command", NOW):
        set_back(here, None)
    assert names(here) == []
    begin_process(here.engine, "serve", NOW)
    assert held_back(here) == "starting"


def test_without_peers_nothing_is_held_back(here: Follower) -> None:
    with writing(here.engine) as session:
        end_trust(session, "RS", NOW)
    begin_process(here.engine, "serve", NOW)
    assert held_back(here) is None


@pytest.mark.parametrize(
    ("before", "after"), [("restored", "restored"), ("clock", "starting"), ("elsewhere", "starting")]
)
def test_what_held_it_back_before(here: Follower, before: str, after: str) -> None:
    set_back(here, before)
    begin_process(here.engine, "serve", NOW)
    assert held_back(here) == after


def test_a_process_that_was_killed_counts_for_nothing(here: Follower) -> None:
    code = (
        "import sys; from directory.database import make_engine; from sync.processes import begin_process; "
        "import datetime as dt, os; "
        f"begin_process(make_engine(sys.argv[1]), 'serve', dt.datetime.fromisoformat('{NOW.isoformat()}')); os._exit(9)"
    )
    url = here.engine.url.render_as_string(hide_password=False)
    assert subprocess.run([sys.executable, "-c", code, url], check=False).returncode == 9
    set_back(here, None)
    begin_process(here.engine, "serve", NOW)
    assert held_back(here) == "starting"
    assert len(names(here)) == 1


@pytest.mark.parametrize("ago", [SILENT_AFTER + dt.timedelta(seconds=1), -SILENT_AFTER - dt.timedelta(seconds=1)])
def test_one_of_another_host_is_believed_while_it_says_so(here: Follower, ago: dt.timedelta) -> None:
    own = begin_process(here.engine, "serve", NOW)
    end_process(here.engine, own)
    other = f"{ELSEWHERE}:{mark(own)}"
    with writing(here.engine) as session:
        hold_back(session, None)
        session.add(ProcessRow(name=other, kind="serve", seen_at=NOW))
    with writing(here.engine) as session:
        assert not register(session, own, "serve", NOW)
    end_process(here.engine, own)
    with writing(here.engine) as session:
        assert register(session, own, "serve", NOW + ago)
    assert names(here, NOW + ago) == [own]


def test_the_processes_that_a_copied_file_tells_of_are_not_its_own(sqlite_template: Path, tmp_path: Path) -> None:
    """A live database copied on one machine: the processes of the original go on, with numbers that are taken."""
    shutil.copyfile(sqlite_template, tmp_path / "first.db")
    first = make_engine(f"sqlite:///{tmp_path / 'first.db'}")
    network = SimulatedNetwork()
    here = make_follower(first, network)
    pin(here, network.add("RS", enrolled=False))
    begin_process(first, "serve", NOW)
    set_back(here, None)
    shutil.copyfile(tmp_path / "first.db", tmp_path / "copy.db")
    copy = make_engine(f"sqlite:///{tmp_path / 'copy.db'}")
    name = begin_process(copy, "serve", NOW)
    with reading(copy) as session:
        assert load_own_node(session).held_back == "starting"
        assert [row.name for row in load_processes(session, NOW)] == [name]
    for engine in (first, copy):
        engine.dispose()
