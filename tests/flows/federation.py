"""Real nodes for the flows: each in its own directory, served by ``veza serve`` on a free port, asked over HTTP."""

import contextlib
import datetime as dt
import http.client
import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from directory.database import writing
from directory.document import parse_document
from federation.keys import parse_jwks
from sync.pull import PullResult
from sync.refresh import refresh_trust
from sync.run import Run
from tests.ports import free_port
from tests.waiting import eventually
from web import accounts
from web.cli import main
from web.cli.anchor import enrol_node, make_anchor, trust_anchor
from web.cli.importing import import_records
from web.cli.init import create_node
from web.cli.nodes import opened_node
from web.cli.parameters import now
from web.cli.sync import pull
from web.demo_plan import sample_document
from web.demo_rotas import with_duty

PASSWORD = "flows and more flows"
START_SECONDS = 60.0


@dataclass
class FlowNode:
    """One node: its directory, its address, its processes."""

    participant: str
    data: Path
    url: str
    settings: Mapping[str, object] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None
    tokens: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, root: Path, participant: str, **settings: object) -> "FlowNode":
        """A node that is not made yet, with an address of its own."""
        return cls(participant, root / participant, f"http://127.0.0.1:{free_port()}", settings)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def make(self, document: Mapping[str, Any] | None = None) -> None:
        """``veza init`` and ``veza import``, and somebody to ask as."""
        settings = {"participant": self.participant, "url": self.url, "insecure_urls": True}
        create_node(self.data, settings | dict(self.settings))
        records = document or with_duty(sample_document(self.participant), 0, now())
        with opened_node(self.data) as (_, node):
            import_records(node, parse_document(dict(records), self.participant))
            with writing(node.engine) as session:
                accounts.add_user(session, "admin", PASSWORD, ["node_admin", "officer"], None, now())
                self.tokens["admin"] = accounts.issue_token(session, "admin", dt.timedelta(hours=1), now())

    def start(self, *options: str, wait: bool = True) -> None:
        """``veza serve``; with ``wait`` until it answers."""
        command = [sys.executable, "-m", "web.cli", "--data", str(self.data), "serve", "--port", str(self.port)]
        with (self.data / "serve.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--workers", "1", "--parent", str(os.getpid()), *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
        if wait:
            eventually(self.answers, START_SECONDS)
            eventually(self.compared_its_log, START_SECONDS)

    def answers(self) -> bool:
        """Whether the node is there."""
        assert self.process is None or self.process.poll() is None, (self.data / "serve.log").read_text()
        try:
            return self.request("GET", "/healthz")[0] == 200
        except OSError:
            return False

    def compared_its_log(self) -> bool:
        """Whether nothing holds the own log back any more."""
        return bool(self.request("GET", "/readyz")[2]["checks"]["own_log"]["ok"])

    def stop(self) -> None:
        """As an operator stops it; nothing of it is left."""
        if self.process is None:
            return
        self.process.terminate()
        self.process.wait(30)
        self.process = None

    def kill(self) -> None:
        """``kill -9`` of everything at once."""
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.process = None

    def request(self, method: str, path: str, body: object = None, **headers: str) -> tuple[int, dict[str, str], Any]:
        """Status, headers and JSON of an answer, asked with the administrator's token."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            content = None if body is None else json.dumps(body)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            sent = {"Authorization": f"Bearer {self.tokens.get('admin', '')}", "Content-Type": "application/json"}
            connection.request(method, path, content, sent | named)
            response = connection.getresponse()
            found = response.read()
        finally:
            connection.close()
        return response.status, {k.lower(): v for k, v in response.getheaders()}, json.loads(found) if found else None

    def get(self, path: str, **query: str) -> Any:
        """The JSON of ``/api/v1`` + path; None where it is not there."""
        status, _, answer = self.request("GET", f"/api/v1{path}" + (f"?{urlencode(query)}" if query else ""))
        assert status in {200, 404}, answer
        return answer if status == 200 else None

    def save(self, path: str, data: Mapping[str, Any]) -> None:
        """Change an own record as an administrator does, from the version that stands."""
        held = self.get(path)
        condition = {"If_Match": f'"{held["seq"]}"'} if held else {"If_None_Match": "*"}
        status, _, answer = self.request("PUT", f"/api/v1{path}", data, **condition)
        assert status in {200, 201}, answer

    def delete(self, path: str) -> None:
        """Delete an own record."""
        seq = self.get(path)["seq"]
        status, _, answer = self.request("DELETE", f"/api/v1{path}", If_Match=f'"{seq}"')
        assert status == 200, answer

    def veza(self, *arguments: object) -> tuple[int, str, str]:
        """A command of this node: status, standard output, standard error."""
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(["--data", str(self.data), *map(str, arguments)])
        return status, out.getvalue(), err.getvalue()

    def answer(self, *arguments: object, status: int = 0) -> Any:
        """The JSON that a command prints."""
        found, out, err = self.veza(*arguments, "--json")
        assert found == status, err
        return json.loads(out)

    def run(self, *arguments: object) -> subprocess.Popen[bytes]:
        """A command as a process of its own, to be killed."""
        command = [sys.executable, "-m", "web.cli", "--data", str(self.data), *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)

    def held(self, participant: str) -> Any:
        """The row of ``veza federation`` about a participant; None where nothing is held."""
        rows = {row["participant"]: row for row in self.answer("federation")}
        return rows.get(participant)


def join(nodes: Sequence[FlowNode], new: Sequence[FlowNode]) -> None:
    """Enrol ``new`` at the first node's anchor and let all learn of it; the nodes are being served."""
    with opened_node(nodes[0].data) as (config, _):
        make_anchor(config)
    with opened_node(nodes[0].data) as (_, anchor):
        for node in new:
            enrol_node(anchor, node.url, node.participant)
    for node in new:
        trust(node, nodes[0])
    ask_anchor(nodes)


def trust(node: FlowNode, anchor: FlowNode) -> None:
    """``veza anchor trust``, with the keys from the anchor's own directory."""
    with opened_node(anchor.data) as (config, _):
        keys = parse_jwks(make_anchor(config), anchor=True)
    with opened_node(node.data) as (_, opened):
        trust_anchor(opened, config.anchor_entity_id, keys)


def ask_anchor(nodes: Sequence[FlowNode]) -> None:
    """Let each node learn whom the anchor vouches for."""
    for node in nodes:
        with opened_node(node.data) as (_, opened):
            refresh_trust(Run(opened, now()))


def sync(node: FlowNode, *codes: str) -> list[PullResult]:
    """``veza sync``, whatever comes of it."""
    with opened_node(node.data) as (_, opened):
        return pull(opened, codes)


@contextlib.contextmanager
def stopping(nodes: Sequence[FlowNode]) -> Iterator[None]:
    """Stop every node at the end, whatever happens."""
    try:
        yield
    finally:
        for node in nodes:
            if node.process is not None:
                node.kill()
