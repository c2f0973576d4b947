"""The product against the second node, which was written from the protocol's text alone.

Each follows and judges the other, byte for byte. A difference means that the text or one of the two is wrong.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from federation.keys import parse_jwks
from tests.conformance import second_node
from tests.conformance.test_second_node import DOCUMENT, OUTAGE, PROGRAM, WEB, serving, write_config
from tests.flows.federation import FlowNode, ask_anchor, join, stopping, sync
from tests.waiting import eventually
from web.cli.anchor import enrol_node, trust_anchor
from web.cli.nodes import opened_node

pytestmark = [pytest.mark.flow, pytest.mark.xdist_group("flows")]


CODES = iter(["SI", "HR", "BA", "BG", "RO", "HU", "GR", "MD", "AT", "IT", "DE", "TR"])


@pytest.fixture(scope="module")
def product(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FlowNode]:
    """A node of the product, with a small log, that is the anchor too."""
    node = FlowNode.at(tmp_path_factory.mktemp("product"), "ME")
    with stopping([node]):
        node.make()
        node.start()
        join([node], [node])
        yield node


class Meeting:
    """A second node of its own code that meets the product under the product's anchor."""

    def __init__(self, product: FlowNode, folder: Path, *, push: bool) -> None:
        self.product, self.code = product, next(CODES)
        keys = json.loads((product.data / "anchor" / "jwks.json").read_text())
        anchor = {"url": f"{product.url}/anchor", "jwks": keys}
        self.config = write_config(folder, self.code, anchor=anchor, follow="all", document="document.json", push=push)
        self.settings = second_node.Settings(self.config)

    def enrol(self) -> None:
        with opened_node(self.product.data) as (_, node):
            enrol_node(node, self.settings.url, self.code)
        ask_anchor([self.product])

    def control(self, **command: Any) -> None:
        control(self.settings, **command)

    def result(self) -> str:
        """What the product says of following the second node."""
        (found,) = sync(self.product, self.code)
        return found.result

    def held(self) -> Any:
        return self.product.held(self.code)


def control(settings: second_node.Settings, **command: Any) -> None:
    url = f"http://127.0.0.1:{settings.values['control_port']}/"
    answer = WEB.ask(url, body=json.dumps(command).encode(), media_type="application/json")
    assert answer.status == 200, answer.body


@contextmanager
def met(product: FlowNode, folder: Path, *, push: bool) -> Iterator[Meeting]:
    made = Meeting(product, folder, push=push)
    (folder / "document.json").write_text(json.dumps(DOCUMENT | {"country": made.code}))
    with serving(made.config):
        made.enrol()
        assert made.result() == "ok"
        yield made


@pytest.fixture
def meeting(product: FlowNode, tmp_path: Path) -> Iterator[Meeting]:
    """A second node that tells nobody of its changes."""
    with met(product, tmp_path, push=False) as made:
        yield made


@pytest.fixture
def pushing(product: FlowNode, tmp_path: Path) -> Iterator[Meeting]:
    """A second node that pushes its checkpoints."""
    with met(product, tmp_path, push=True) as made:
        yield made


def test_the_second_node_finds_no_fault_with_the_product(meeting: Meeting) -> None:
    command = [sys.executable, str(PROGRAM), "follow", "--config", str(meeting.config)]
    run = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    report = json.loads(run.stdout)
    faults = [item for part in (report["anchor"], *report["nodes"]) for item in part["deviations"]]
    assert not faults
    assert run.returncode == 0
    (judged,) = (found for found in report["nodes"] if found["participant"] == "ME")
    held = meeting.product.held("ME")
    assert (judged["facts"]["size"], judged["facts"]["root"]) == (held["size"], held["root"])


def test_a_newcomer_is_let_in_when_it_first_asks(product: FlowNode, tmp_path: Path) -> None:
    """Only the anchor knows of it; its first read token makes the product's worker ask there."""
    newcomer = Meeting(product, tmp_path, push=False)
    (tmp_path / "document.json").write_text(json.dumps(DOCUMENT | {"country": newcomer.code}))
    newcomer.settings.values["probes"] = False
    with serving(newcomer.config):
        with opened_node(product.data) as (_, node):
            enrol_node(node, newcomer.settings.url, newcomer.code)
        eventually(lambda: _result_of(second_node.follow(newcomer.settings), "ME") == "accepted", 90, pause=1)


def _result_of(report: second_node.Json, participant: str) -> str:
    return next(str(node["result"]) for node in report["nodes"] if node["participant"] == participant)


def test_the_product_follows_the_second_node_and_hears_its_push(pushing: Meeting) -> None:
    before = pushing.held()["size"]
    pushing.control(do="append", entries=[{"record": "outage/siena-down", "data": OUTAGE}])
    eventually(lambda: pushing.held()["size"] == before + 1, 15)
    assert pushing.held()["state"] == "fresh"


@pytest.mark.parametrize("fault", ["bad_range", "root_mismatch", "bad_digest", "withheld_payload", "expired"])
def test_the_product_refuses_what_the_second_node_spoils(meeting: Meeting, fault: str) -> None:
    before = meeting.held()
    meeting.control(do="fault", names=[fault])
    meeting.control(do="append", entries=[{"record": "outage/siena-down", "data": OUTAGE}])
    assert meeting.result() == fault
    after = meeting.held()
    assert (after["size"], after["root"]) == (before["size"], before["root"])
    meeting.control(do="fault", names=[])
    assert meeting.result() == "ok"


def test_a_rewritten_history_is_disputed_and_the_held_one_stays(meeting: Meeting) -> None:
    before = meeting.held()
    meeting.control(do="rewrite", seq=1)
    assert meeting.result() == "fork"
    after = meeting.held()
    assert (after["size"], after["root"], after["state"]) == (before["size"], before["root"], "disputed")


def test_rotated_keys_are_followed(meeting: Meeting) -> None:
    meeting.control(do="rotate", which="operating")
    meeting.control(do="append", entries=[{"record": "outage/siena-down", "data": OUTAGE}])
    assert meeting.result() == "ok"


@pytest.mark.parametrize("algorithm", ["EdDSA", "ES256", "PS256", "RS256"])
def test_an_anchor_of_other_software_serves(product: FlowNode, tmp_path: Path, algorithm: str) -> None:
    """The follower asks another anchor than its own for the same node; each run uses a follower of its own."""
    service = {"subordinates": [], "alg": algorithm}
    config = write_config(tmp_path / "si", "SI", anchor_service=service, document="document.json")
    settings = second_node.Settings(config)
    follower = FlowNode.at(tmp_path, "XK")
    follower.make()
    with serving(config):
        control(settings, do="grant", url=product.url, participant="ME")
        with opened_node(follower.data) as (_, node):
            trust_anchor(node, settings.anchor["url"], parse_jwks(settings.anchor["jwks"], anchor=True))
        ask_anchor([follower])
    assert follower.held("ME")["trust"] == "anchor"
