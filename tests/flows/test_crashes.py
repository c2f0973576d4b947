"""``kill -9`` at any moment: what is held verifies, nothing is lost, nothing stands twice."""

import collections
import contextlib
import json
import os
import signal
import time
from pathlib import Path

import pytest

from directory.database import reading
from federation.entries import parse_header
from federation.log import load_head, read_entries
from tests.flows.federation import FlowNode, ask_anchor, join, stopping, sync, trust
from tests.waiting import eventually
from web.cli.databases import opened_database
from web.demo_plan import sample_document

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flows")]

UNITS = 1500
MOMENTS = (0.0, 0.02, 0.1)
"""Seconds between the first byte that a command writes to its database and its end by ``kill -9``."""


def large_document(hours="24/7"):
    """Croatia with many more units."""
    document = dict(sample_document("HR"))
    pattern = dict(document["units"][-1])
    more = [pattern | {"id": f"hr-desk-{number}", "hours": hours} for number in range(UNITS)]
    return document | {"units": [*document["units"], *more]}


@pytest.fixture(scope="module")
def origin(trio, tmp_path_factory):
    """HR, with a log of some thousand entries that it serves to everybody."""
    hr = FlowNode.at(tmp_path_factory.mktemp("large"), "HR", open_logs=True)
    hr.make(large_document())
    with stopping([hr]):
        hr.start("--no-worker")
        join([trio[0], hr], [hr])
        yield hr
    trio[0].answer("anchor", "remove", "HR")
    ask_anchor(trio)


@pytest.fixture(scope="module")
def follower(trio, origin, tmp_path_factory):
    """SI, which follows HR by hand: nothing but ``veza sync`` writes to its database."""
    si = FlowNode.at(tmp_path_factory.mktemp("follower"), "SI")
    si.make(sample_document("SI"))
    trust(si, trio[0])
    ask_anchor([si])
    return si


def records_in_log(node, participant):
    with opened_database(node.data) as (_, engine), reading(engine) as session:
        size = load_head(session, participant).size
        entries = read_entries(session, participant, 0, size)
    assert [parse_header(entry.header).seq for entry in entries] == list(range(size))
    return collections.Counter(parse_header(entry.header).record for entry in entries)


def kill_while_it_writes(node, process, moment):
    """End a command by force as soon as it has begun to write, ``moment`` seconds later; whether it still ran."""

    def written():
        journals = [node.data / f"veza.db-{kind}" for kind in ("journal", "wal")]
        return sum(path.stat().st_size for path in journals if path.exists())

    before = written()
    eventually(lambda: written() != before or process.poll() is not None, 60, pause=0.001)
    time.sleep(moment)  # the moment is the test's subject, not something to wait for
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    return process.wait() == -signal.SIGKILL


def test_a_sync_that_is_killed_leaves_all_or_nothing(origin, follower):
    size = origin.held("HR")["size"]
    killed = []
    for moment in MOMENTS:
        killed.append(kill_while_it_writes(follower, follower.run("sync", "HR"), moment))
        assert follower.answer("verify") == []
        held = follower.held("HR")
        assert held is None or held["size"] in {0, size}
    assert any(killed)
    assert sync(follower, "HR")[0].result == "ok"
    assert follower.held("HR")["root"] == origin.held("HR")["root"]
    assert records_in_log(follower, "HR") == records_in_log(origin, "HR")
    assert follower.answer("verify") == []


def test_an_import_that_is_killed_leaves_all_or_nothing(origin, tmp_path):
    path = tmp_path / "hr.json"
    path.write_text(json.dumps(large_document("Mo-Fr 08:00-16:00")), encoding="utf-8")
    before = origin.held("HR")["size"]
    killed = []
    for moment in MOMENTS:
        killed.append(kill_while_it_writes(origin, origin.run("import", path), moment))
        assert origin.answer("verify") == []
        assert origin.held("HR")["size"] in {before, before + UNITS}
    assert any(killed)
    assert origin.veza("import", path)[0] == 0
    assert origin.held("HR")["size"] == before + UNITS
    counted = records_in_log(origin, "HR")
    assert {number for record, number in counted.items() if record.startswith("unit/hr-desk-")} == {2}
    assert origin.answer("import", path)["changed"] == []


def test_a_node_that_is_killed_while_saving_keeps_what_it_said_it_saved(origin, follower):
    before = records_in_log(origin, "HR")["unit/hr-spoc"]
    saved = 0
    for _ in range(2):
        deadline = time.monotonic() + 0.5
        while time.monotonic() < deadline:
            data = origin.get("/units/HR/hr-spoc")["data"]
            origin.save("/units/hr-spoc", data | {"note": f"number {saved + 1}"})
            saved += 1
        origin.kill()
        assert origin.answer("verify") == []
        origin.start("--no-worker")
        assert origin.get("/units/HR/hr-spoc")["data"]["note"] == f"number {saved}"
    assert records_in_log(origin, "HR")["unit/hr-spoc"] == before + saved
    assert sync(follower, "HR")[0].result == "ok"
    assert follower.held("HR")["root"] == origin.held("HR")["root"]
    assert follower.answer("verify") == []


def test_a_worker_that_dies_is_replaced_and_all_end_together(origin):
    origin.stop()
    origin.start()
    serving = origin.process.pid

    def children():
        tasks = Path(f"/proc/{serving}/task").iterdir()
        return [int(pid) for task in tasks for pid in (task / "children").read_text().split()]

    def workers():
        return [pid for pid in children() if b"\0worker\0" in Path(f"/proc/{pid}/cmdline").read_bytes()]

    (first,) = eventually(workers)
    os.kill(first, signal.SIGKILL)
    eventually(lambda: [pid for pid in workers() if pid != first], 30)
    processes = children()
    os.kill(serving, signal.SIGKILL)  # not the group: its children have to notice by themselves
    origin.process.wait()
    origin.process = None
    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in processes), 20)
    origin.start("--no-worker")
