"""Twelve nodes in memory, each an origin that may lie and a real follower of all the others on SQLite.

An origin is a ``SimulatedNode``; what it relays and takes comes from the follower's own database by the program's own
code. So every byte that one node gives another passes through what the product does with it.
"""

import datetime as dt
import json
import random
import shutil
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import sqlalchemy as sa

from directory.database import make_engine, reading, writing
from federation.encoding import b64url_decode, dump_json
from federation.entries import encode_page
from federation.errors import FederationError, NotHeldError
from federation.log import load_head, read_page
from federation.participants import configurations_chain
from sync.addresses import Network
from sync.errors import PeerUnreachableError
from sync.inbox import receive_statement
from sync.node import Node
from sync.pull import pull_participant, pull_pushed
from sync.transport import ENTITY_STATEMENT, JSON, JWT, NDJSON, Response
from sync.wanted import REFRESH, forget_wanted, load_wanted
from tests.simulators.follower import Follower, make_follower, pin
from tests.simulators.network import SimulatedNetwork, answer, problem
from tests.simulators.node_simulator import NOW, SimulatedNode, named_identity

CODES = ("ME", "RS", "MK", "AL", "XK", "BA", "HR", "SI", "BG", "RO", "HU", "GR")

Alter = Callable[[bytes], bytes]


@dataclass
class WorldNode:
    """One participant: its log as an origin, what it shows to whom, and its follower."""

    origin: SimulatedNode
    follower: Follower
    database: Path
    views: dict[str, SimulatedNode] = field(default_factory=dict)
    """What the origin shows to a reader in place of its log, by the reader's entity identifier."""
    busy: bool = False
    """Whether it answers for its own log with ``503 busy``: it was restored, and compares first."""
    alter: Alter | None = None
    """Changes whatever this node relays of others."""
    backup: Path | None = None
    """The database as it was when it was backed up."""
    skew: dt.timedelta = dt.timedelta(0)
    """How wrong the follower's clock is."""

    @property
    def code(self) -> str:
        return self.origin.participant

    @property
    def online(self) -> bool:
        return self.origin.online

    def shown_to(self, reader: str | None) -> SimulatedNode:
        """The log that the origin shows."""
        return self.views.get(reader or "", self.origin)


class WorldNetwork(SimulatedNetwork):
    """Every node answers for its own log as its origin wants, and for others from its follower's database."""

    def __init__(self) -> None:
        super().__init__()
        self.world: dict[str, WorldNode] = {}

    def get(
        self,
        url: str,
        *,
        accept: str,
        max_bytes: int,
        seconds: float,
        bearer: str | None = None,
        allowed_networks: Sequence[Network] = (),
        etag: str | None = None,
    ) -> Response:
        with self._lock:
            self.requests.append(("GET", url))
        node, parts = self._node(url), urlsplit(url)
        match parts.path.strip("/").split("/"):
            case [".well-known", "openid-federation"]:
                return answer(node.origin.configuration().encode("ascii"), ENTITY_STATEMENT)
            case ["federation", "v1", "configurations", participant]:
                return self._configurations(node, participant)
            case ["federation", "v1", "logs", participant, what]:
                start = int(parse_qs(parts.query).get("start", ["0"])[0])
                if participant != node.code:
                    return self._relayed(node, participant, what, start)
                return self._own(node, what, start, bearer)
        return problem(404, "not_found")

    def post(
        self,
        url: str,
        body: bytes,
        *,
        content_type: str,
        accept: str | None,
        max_bytes: int,
        seconds: float,
        allowed_networks: Sequence[Network] = (),
    ) -> Response:
        follower = self._node(url).follower
        try:
            receive_statement(follower.node, body, follower.now)
        except FederationError as error:
            return problem(400, error.code)
        return Response(202, JSON, b"{}")

    def _node(self, url: str) -> WorldNode:
        parts = urlsplit(url)
        node = self.world.get(f"{parts.scheme}://{parts.netloc}")
        if node is None or not node.online:
            raise PeerUnreachableError("unreachable", f"nothing answers at {parts.netloc}")
        return node

    def _configurations(self, node: WorldNode, participant: str) -> Response:
        if participant == node.code:
            return answer(node.origin.served_chain(), JSON)
        with reading(node.follower.engine) as session:
            return answer(dump_json(configurations_chain(session, participant)), JSON)

    def _own(self, node: WorldNode, what: str, start: int, bearer: str | None) -> Response:
        if node.busy:
            return problem(503, "busy")
        shown = node.shown_to(_reader(bearer))
        if what == "checkpoint":
            return answer(shown.served_checkpoint(), JWT)
        page = shown.served_page(start)
        return problem(404, "out_of_range") if page is None else answer(page, NDJSON)

    def _relayed(self, node: WorldNode, participant: str, what: str, start: int) -> Response:
        alter = node.alter or bytes
        with reading(node.follower.engine) as session:
            head = load_head(session, participant)
            if head is None or head.checkpoint is None:
                return problem(404, "not_found")
            if what == "checkpoint":
                return answer(alter(head.checkpoint.encode("ascii")), JWT)
            try:
                return answer(alter(encode_page(read_page(session, participant, start))), NDJSON)
            except NotHeldError as error:
                return problem(404, error.code)


def _reader(bearer: str | None) -> str | None:
    """Who asks, as an origin knows it that shows each reader something else."""
    return None if bearer is None else str(json.loads(b64url_decode(bearer.split(".")[1]))["iss"])


class World:
    """All nodes, one clock for the honest ones, and one source of chance."""

    def __init__(self, folder: Path, prepared: Path, seed: int) -> None:
        self.chance = random.Random(seed)
        self.network = WorldNetwork()
        self.now = NOW
        for number, code in enumerate(CODES):
            origin = self.network.add(code, enrolled=False)
            origin.grow(2 + number % 7)
            self._add(folder / f"{code}.db", prepared / f"{code}.db", origin)

    def _add(self, database: Path, prepared: Path, origin: SimulatedNode) -> None:
        shutil.copyfile(prepared, database)
        identity = named_identity(origin.participant)
        node = Node(
            make_quick_engine(database), lambda: identity, self.network, chance=random.Random(self.chance.random())
        )
        self.network.world[origin.entity_id] = WorldNode(origin, Follower(node, self.network), database)

    @property
    def nodes(self) -> list[WorldNode]:
        return list(self.network.world.values())

    def __getitem__(self, code: str) -> WorldNode:
        return next(node for node in self.nodes if node.code == code)

    def others(self, code: str) -> list[WorldNode]:
        """Everybody who is there but one."""
        return [node for node in self.nodes if node.code != code and node.online]

    def pass_time(self, time: dt.timedelta) -> None:
        self.now += time
        for node in self.nodes:
            node.follower.now = self.now + node.skew
            for origin in (node.origin, *node.views.values()):
                origin.now = self.now

    def sync_round(self) -> None:
        """Each node that is there syncs all the others, in an order of chance."""
        for node in self._shuffled(self.nodes):
            if node.online:
                for other in self._shuffled(self.nodes):
                    if other is not node:
                        pull_participant(node.follower.node, other.code, node.follower.now)

    def do_what_is_wanted(self) -> None:
        """What the worker of each node does about what was posted to it."""
        for node in self.nodes:
            if node.online:
                self._do_wanted(node.follower)

    def _do_wanted(self, follower: Follower) -> None:
        with reading(follower.engine) as session:
            wanted = load_wanted(session)
        for participant, token in wanted.items():
            if token == REFRESH:
                pull_participant(follower.node, participant, follower.now)
            else:
                pull_pushed(follower.node, participant, token, follower.now)
            with writing(follower.engine) as session:
                forget_wanted(session, participant, token)

    def post(self, to: WorldNode, token: bytes) -> None:
        """Somebody passes a statement on."""
        self.network.post(
            f"{to.origin.entity_id}/federation/v1/checkpoints",
            token,
            content_type=JWT,
            accept=None,
            max_bytes=1000,
            seconds=1,
        )

    def back_up(self, node: WorldNode) -> None:
        """Keep a copy of a node's database as it is now."""
        node.follower.engine.dispose()
        node.backup = node.database.with_suffix(".backup")
        shutil.copyfile(node.database, node.backup)

    def restore(self, node: WorldNode) -> None:
        """The database as it was then: the node has forgotten what it did since."""
        assert node.backup is not None
        node.follower.engine.dispose()
        shutil.copyfile(node.backup, node.database)

    def close(self) -> None:
        for node in self.nodes:
            node.follower.engine.dispose()

    def _shuffled(self, nodes: list[WorldNode]) -> list[WorldNode]:
        return self.chance.sample(nodes, len(nodes))


def prepare(folder: Path, template: Path) -> None:
    """Make the databases with which every case begins in ``folder``: each node follows all others, and is well."""
    for code in CODES:
        shutil.copyfile(template, folder / f"{code}.new.db")
    network = SimulatedNetwork()
    for code in CODES:
        engine = make_quick_engine(folder / f"{code}.new.db")
        follower = make_follower(engine, network, named_identity(code))
        for other in CODES:
            if other != code:
                pin(follower, SimulatedNode(named_identity(other)))
        engine.dispose()
        (folder / f"{code}.new.db").rename(folder / f"{code}.db")
    (folder / "synced").mkdir()
    world = World(folder / "synced", folder, 0)
    world.sync_round()
    world.close()
    for code in CODES:
        (folder / "synced" / f"{code}.db").replace(folder / f"{code}.db")


def make_quick_engine(database: Path) -> sa.Engine:
    """An engine that does not wait for the disk: what a crash leaves is tested elsewhere."""
    engine = make_engine(f"sqlite:///{database}")
    sa.event.listen(engine, "connect", _wait_for_no_disk)
    return engine


def _wait_for_no_disk(connection: sqlite3.Connection, record: object) -> None:
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA journal_mode=MEMORY")
