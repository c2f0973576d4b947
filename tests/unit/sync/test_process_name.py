"""Names of processes: only a process that surely runs no more is told to be dead."""

import os
import subprocess
import sys

import pytest

from sync.process_name import is_dead, make_process_name


def finished_process() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def renamed(pid: object, place: str | None = None) -> str:
    host, own_place, _, random = make_process_name().split(":")
    return f"{host}:{place or own_place}:{pid}:{random}"


def test_a_live_process_is_not_dead() -> None:
    assert not is_dead(make_process_name())


def test_names_differ_and_fit_their_column() -> None:
    assert make_process_name() != make_process_name()
    assert len(make_process_name()) <= 120


def test_an_ended_process_of_this_machine_is_dead() -> None:
    assert is_dead(renamed(finished_process()))


@pytest.mark.parametrize(
    "name",
    ["", "host", "host:place", "host:place:7", "::::", "a:b:c:d"],
)
def test_what_cannot_be_told_is_not_dead(name: str) -> None:
    assert not is_dead(name)


@pytest.mark.parametrize("pid", ["x", "-1", "9" * 30, ""])
def test_an_impossible_number_is_not_dead(pid: str) -> None:
    assert not is_dead(renamed(pid))


def test_a_process_elsewhere_is_not_dead() -> None:
    assert not is_dead(renamed(finished_process(), "000000000000"))


def test_a_process_of_another_account_is_not_dead() -> None:
    assert not is_dead(renamed(1 if os.geteuid() else os.getppid()))
