"""A whole node of Montenegro for tests of the web package: keys, logs of its own and of neighbours, people.

Built once and copied for each test, so that a test costs milliseconds. Every instant hangs on ``NOW``.
"""

import datetime as dt
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from directory.database import make_engine, writing
from directory.document import parse_document
from directory.store import ensure_counters
from federation.checkpoint import make_checkpoint
from federation.entries import make_put
from federation.identity import Identity, create_anchor_identity, create_identity
from federation.keys import key_set
from federation.log import append_entries, create_log
from federation.merkle import leaf_hash
from federation.own_configuration import renew_configuration
from federation.participants import bind_participant, store_configuration
from federation.publishing import PendingChange, publish
from federation.statements import make_configuration
from web import accounts
from web.app import create_app
from web.config import Config, format_settings, load_config
from web.schema import upgrade

NOW = dt.datetime(2026, 11, 21, 20, 0, tzinfo=dt.UTC)
"""A Saturday evening."""
URL = "http://127.0.0.1:8100"
PASSWORD = "five wild horses run"
REGION = Path("web/data/region.json")
NEIGHBOURS = ("RS", "XK", "HR")
USERS = {
    "ana": (["node_admin"], "me-spoc"),
    "rada": (["rota_admin"], "me-spoc"),
    "carina": (["rota_admin"], "me-spoc-customs"),
    "loose": (["rota_admin"], None),
    "oskar": (["officer"], "me-spoc"),
    "dora": (["duty"], "me-spoc"),
    "audit": (["auditor"], None),
}
"""Name → roles and unit: every role, a rota admin of another agency, and one of none."""
ROTA = {
    "unit": "me-spoc",
    "time_zone": "Europe/Podgorica",
    "layers": [
        {
            "name": "desk",
            "members": ["m-one", "m-two"],
            "start": "2026-01-05T08:00",
            "rotation": {"every": 12, "unit": "hours"},
            "restrictions": [],
        }
    ],
    "overrides": [],
}
MEMBERS = {
    "m-one": {"name": "Duty officer 1", "languages": ["cnr", "en"], "phone": "+999499001", "unit": "me-spoc"},
    "m-two": {"name": "Duty officer 2", "languages": ["cnr"], "phone": "+999499002", "unit": "me-spoc"},
    "m-customs": {"name": "Customs desk", "languages": ["cnr"], "unit": "me-spoc-customs"},
}


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> dt.datetime:
        return self.now

    def forward(self, **delta: float) -> None:
        self.now += dt.timedelta(**delta)


@dataclass
class ServedNode:
    """The node under test with its application, clock and tokens."""

    data: Path
    config: Config
    app: Flask
    clock: Clock
    tokens: dict[str, str]
    engine: sa.Engine

    def close(self) -> None:
        """Close every connection."""
        self.app.extensions["veza"].close()

    def client(self, user: str | None = "oskar") -> "ApiClient":
        """A program of ``user``; without one, of nobody."""
        return ApiClient(
            self.app.test_client(), {} if user is None else {"Authorization": f"Bearer {self.tokens[user]}"}
        )


class ApiClient:
    """A test client that carries a token."""

    def __init__(self, client: FlaskClient, headers: dict[str, str]) -> None:
        self.client = client
        self.headers = headers

    def get(self, path: str, **headers: str):
        return self.client.get(path, headers=self.headers | _header_names(headers))

    def put(self, path: str, data: object, **headers: str):
        return self.client.put(path, json=data, headers=self.headers | _header_names(headers))

    def post(self, path: str, data: object, **headers: str):
        return self.client.post(path, json=data, headers=self.headers | _header_names(headers))

    def delete(self, path: str, **headers: str):
        return self.client.delete(path, headers=self.headers | _header_names(headers))


def _header_names(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}


def build_node(data: Path, settings: dict[str, object] | None = None, now: dt.datetime = NOW) -> None:
    """Make the node of Montenegro in ``data``, as the commands would."""
    data.mkdir(parents=True, exist_ok=True)
    chosen = {"participant": "ME", "url": URL, "name": "Police of Montenegro", "insecure_urls": True}
    (data / "veza.toml").write_text(format_settings(chosen | (settings or {})), encoding="utf-8")
    config = load_config(data, {})
    identity = create_identity(config.keys_dir, config.participant, config.url)
    create_anchor_identity(config.anchor_dir, config.anchor_entity_id)
    engine = make_engine(config.database)
    upgrade(engine)
    tokens = {}
    with writing(engine) as session:
        ensure_counters(session)
        assert identity.federation_key is not None
        bind_participant(session, "ME", config.url, "own", key_set(identity.federation_key))
        renew_configuration(session, identity, name=config.name, now=now)
        create_log(session, "ME", own=True)
        publish(session, identity, own_changes(), now)
        for code in NEIGHBOURS:
            follow(session, data / "neighbours", code, now)
        for name, (roles, unit) in USERS.items():
            accounts.add_user(session, name, PASSWORD, roles, unit, now)
            tokens[name] = accounts.issue_token(session, name, dt.timedelta(hours=8), now)
    engine.dispose()
    (data / "tokens.json").write_text(json.dumps(tokens), encoding="utf-8")


def own_changes() -> list[PendingChange]:
    """Montenegro's part of the region, a rota and its members."""
    records = parse_document(json.loads(REGION.read_text(encoding="utf-8")), "ME").records
    records |= {f"member/{slug}": data for slug, data in MEMBERS.items()} | {"rota/r-desk": ROTA}
    return [PendingChange(record, "put", data) for record, data in records.items()]


def neighbour_identity(keys: Path, code: str) -> Identity:
    """The keys of a neighbouring node, made once."""
    return create_identity(keys / code, code, f"http://127.0.0.1:81{NEIGHBOURS.index(code) + 1}0")


def follow(session: sa.orm.Session, keys: Path, code: str, now: dt.datetime = NOW) -> Identity:
    """Trust a neighbour, and hold its log as if it had been synced."""
    identity = neighbour_identity(keys, code)
    assert identity.federation_key is not None
    bind_participant(session, code, identity.entity_id, "peering", key_set(identity.federation_key))
    store_configuration(session, make_configuration(identity, now=now))
    records = parse_document(json.loads(REGION.read_text(encoding="utf-8")), code).records
    entries = [make_put(seq, record, data, now) for seq, (record, data) in enumerate(records.items())]
    head = create_log(session, code, own=False)
    frontier = head.frontier.extend(leaf_hash(entry.header) for entry in entries)
    checkpoint = make_checkpoint(identity, frontier.size, frontier.root(), now, None)
    append_entries(session, head, entries, frontier, checkpoint, now)
    return identity


def serve_copy(template: Path, data: Path, settings: dict[str, object] | None = None) -> ServedNode:
    """The application on a copy of a built node, with other settings if any are given."""
    shutil.copytree(template, data, dirs_exist_ok=True)
    if settings:
        kept = (data / "veza.toml").read_text(encoding="utf-8")
        (data / "veza.toml").write_text(kept + format_settings(settings), encoding="utf-8")
    return serve(data)


def serve(data: Path) -> ServedNode:
    """The application on a built node."""
    clock = Clock()
    config = load_config(data, {})
    app = create_app(config, clock)
    tokens = json.loads((data / "tokens.json").read_text(encoding="utf-8"))
    return ServedNode(data, config, app, clock, tokens, app.extensions["veza"].node.engine)
