"""Nodes of a demo: made once, completed where they were left half made, never touched again."""

import datetime as dt
import signal
import socket

import pytest

from directory.database import reading
from directory.store import load_records
from web import accounts
from web.cli.demo import _announce
from web.cli.init import create_node
from web.cli.nodes import opened_node
from web.demo import PASSWORD, PEOPLE, join_nodes, prepare_node, prepare_nodes, start_demo
from web.demo_plan import DemoNode, plan_nodes
from web.demo_processes import DemoProcesses
from web.serving import PortInUseError

NOW = dt.datetime(2026, 11, 21, 22, 0, tzinfo=dt.UTC)


@pytest.fixture
def node(tmp_path):
    return DemoNode("SEPCA", 0, "http://127.0.0.1:9100", tmp_path / "SEPCA")


def content(node):
    with opened_node(node.data) as (_, opened), reading(opened.engine) as session:
        people = {account.name: account.roles for account in accounts.list_users(session)}
        return {record.record: record.seq for record in load_records(session, participant=node.participant)}, people


def test_a_node_gets_sample_rotas_and_people(node):
    prepare_node(node, NOW)
    records, people = content(node)
    assert "participant/self" in records
    assert set(people) == set(PEOPLE)
    with opened_node(node.data) as (_, opened), reading(opened.engine) as session:
        assert accounts.authenticate(session, "admin", PASSWORD).has("node_admin")


def test_a_half_made_node_is_completed(node):
    create_node(node.data, {"participant": "SEPCA", "url": node.url, "insecure_urls": True})
    prepare_node(node, NOW)
    assert content(node)[0]


def test_preparing_again_changes_nothing(node):
    prepare_node(node, NOW)
    before = content(node)
    prepare_node(node, NOW)
    assert content(node) == before
    prepare_nodes([node], NOW + dt.timedelta(days=400))
    assert content(node) == before


def test_several_are_prepared_side_by_side_by_processes_of_their_own(tmp_path):
    nodes = [DemoNode(code, order, f"http://127.0.0.1:{9100 + order}", tmp_path / code)
             for order, code in enumerate(("SEPCA", "MARRI"))]  # fmt: skip
    handler = signal.getsignal(signal.SIGINT)
    prepare_nodes(nodes, NOW)
    assert all(content(node)[0] for node in nodes)
    assert signal.getsignal(signal.SIGINT) == handler


def test_nodes_that_have_joined_need_no_anchor_again(node):
    node.data.mkdir()
    (node.data / "demo-joined").touch()
    join_nodes([node])


def test_a_port_in_use_stops_it_before_anything_is_made(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        nodes = plan_nodes(tmp_path, 1, organisations=False, base_port=taken.getsockname()[1])
        said = []
        with pytest.raises(PortInUseError):
            start_demo(nodes, DemoProcesses(), said.append)
    assert said == []
    assert list(tmp_path.iterdir()) == []


def test_people_are_told_where_and_how_to_sign_in(node, capsys):
    _announce([node], node.data.parent, as_json=False)
    out = capsys.readouterr().out
    for word in (node.url, PASSWORD, "officer", str(node.data)):
        assert word in out


def test_programs_get_one_line(node, capsys):
    _announce([node], node.data.parent, as_json=True)
    out = capsys.readouterr().out
    assert out == f'[{{"participant": "SEPCA", "url": "{node.url}", "data": "{node.data}"}}]\n'
