"""A node whose database is older than it was, or that runs twice: it never signs a second history (section 5)."""

import json
import shutil
import subprocess
import sys

import pytest

from directory.database import reading
from federation.log import load_seen_root
from tests.flows.federation import FlowNode, join, stopping, sync
from tests.ports import free_port
from tests.waiting import eventually
from web.cli.databases import opened_database
from web.demo_plan import sample_document

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flows")]


@pytest.fixture(scope="module")
def node(trio, tmp_path_factory):
    """SI, a fourth node, whose log ME, RS and MK follow."""
    si = FlowNode.at(tmp_path_factory.mktemp("own-log"), "SI")
    si.make(sample_document("SI"))
    with stopping([si]):
        si.start()
        join([trio[0], si], [si])
        for other in trio:
            eventually(lambda other=other: sync(other, "SI")[0].result == "ok", 30)
        sync(si)
        yield si
    trio[0].answer("anchor", "remove", "SI")


def note(node, text):
    """Save something, and give the size of the log then."""
    data = node.get("/units/SI/si-spoc")["data"]
    node.save("/units/si-spoc", data | {"note": text})
    return node.held("SI")["size"]


def roots(node, participant, size):
    with opened_database(node.data) as (_, engine), reading(engine) as session:
        return load_seen_root(session, participant, size)


def go_back(node, copy):
    """Put the copied database file back."""
    for path in node.data.glob("veza.db*"):
        path.unlink()
    shutil.copyfile(copy, node.data / "veza.db")


def test_an_older_copy_takes_its_own_entries_back_before_it_signs(trio, node, tmp_path):
    node.stop()
    shutil.copyfile(node.data / "veza.db", tmp_path / "veza.db")
    node.start()
    size = note(node, "said after the copy was made")
    for other in trio:
        eventually(lambda other=other: other.held("SI")["size"] == size, 20)
    node.stop()
    go_back(node, tmp_path / "veza.db")
    assert node.held("SI")["size"] < size
    node.start()
    assert node.held("SI")["size"] == size
    assert node.get("/units/SI/si-spoc")["data"]["note"] == "said after the copy was made"
    later = note(node, "said after the entries were taken back")
    assert later == size + 1
    for other in trio:
        eventually(lambda other=other: other.held("SI")["size"] == later, 20)
        assert roots(other, "SI", size) in (None, roots(node, "SI", size))
        assert other.held("SI")["state"] == "fresh"
        assert other.answer("verify") == []
    assert node.answer("verify") == []


def test_a_command_does_so_too_where_nothing_runs(trio, node, tmp_path):
    node.stop()
    shutil.copyfile(node.data / "veza.db", tmp_path / "veza.db")
    node.start()
    size = note(node, "said before the command")
    for other in trio:
        eventually(lambda other=other: other.held("SI")["size"] == size, 20)
    node.stop()
    go_back(node, tmp_path / "veza.db")
    document = sample_document("SI")
    document["units"][0]["note"] = "imported into an older copy"
    (tmp_path / "si.json").write_text(json.dumps(document))
    status, _, err = node.veza("import", tmp_path / "si.json")
    assert status == 0, err
    assert node.held("SI")["size"] > size
    node.start()
    eventually(lambda: trio[1].held("SI")["size"] == node.held("SI")["size"], 20)
    assert trio[1].held("SI")["state"] == "fresh"


def test_two_that_start_together_answer_each_other(trio, node):
    me = trio[0]
    me.stop()
    node.stop()
    me.start(wait=False)
    node.start(wait=False)
    for each in (me, node):
        eventually(each.answers, 60)
        eventually(each.compared_its_log, 30)
    size = note(node, "both are there")
    eventually(lambda: me.held("SI")["size"] == size, 30)


def test_a_copied_data_directory_stops_whoever_is_not_at_the_address(trio, node, tmp_path):
    """C43: the second one refuses, and signs nothing."""
    copy = tmp_path / "copy"
    shutil.copytree(node.data, copy)
    command = [sys.executable, "-m", "web.cli", "--data", str(copy), "serve", "--port", str(free_port())]
    ended = subprocess.run([*command, "--workers", "1"], capture_output=True, text=True, timeout=90, check=False)
    assert ended.returncode == 1
    assert ended.stderr.strip().splitlines()[-1].startswith("veza: conflict: ")
    assert "another database" in ended.stderr
    ended = subprocess.run(
        [sys.executable, "-m", "web.cli", "--data", str(copy), "worker"],
        capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    assert ended.returncode == 1
    second = FlowNode("SI", copy, node.url)
    (tmp_path / "si.json").write_text(json.dumps(sample_document("SI")))
    status, _, err = second.veza("import", tmp_path / "si.json")
    assert status == 1, err
    assert err.startswith("veza: conflict: ")
    assert second.held("SI")["size"] <= node.held("SI")["size"]
    assert node.answers()
    size = note(node, "the first one goes on")
    eventually(lambda: trio[1].held("SI")["size"] == size, 20)
