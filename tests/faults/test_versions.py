"""F23, F24, F27: a migration that is killed, a copy taken while others write, and peers of other versions."""

import base64
import json
import shutil
import sqlite3
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command

from directory.database import make_engine, reading
from directory.store import load_record
from federation.signing import ENTITY_STATEMENT, sign
from federation.verification import verify_logs
from tests.faults.injection import Laboratory, Point, can_trace
from tests.faults.scenarios import watched
from tests.faults.sweep import choose_points
from tests.simulators.follower import Follower, make_follower
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import SimulatedNode
from tests.web.building import ServedNode
from web import schema
from web.cli import main

OLD = "0001"


@pytest.fixture(scope="module")
def old_tables(tmp_path_factory: pytest.TempPathFactory) -> set[str]:
    """The tables that the first version knew."""
    engine = make_engine(f"sqlite:///{tmp_path_factory.mktemp('old') / 'veza.db'}")
    with engine.connect().execution_options(veza_writing=True) as connection, connection.begin():
        config = schema._config()
        config.attributes["connection"] = connection
        command.upgrade(config, OLD)
    found = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    return found


def tables_of(database: Path) -> set[str]:
    connection = sqlite3.connect(database)
    found = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    return found


@pytest.fixture
def old_data(node_template: Path, old_tables: set[str], folder: Path) -> Path:
    """A node with years of data, as the first version left it."""
    data = folder / "template"
    shutil.copytree(node_template, data)
    connection = sqlite3.connect(data / "veza.db", isolation_level=None)
    for table in tables_of(data / "veza.db") - old_tables:
        connection.execute(f'DROP TABLE "{table}"')
    connection.execute("UPDATE alembic_version SET version_num = ?", (OLD,))
    connection.close()
    return data


@pytest.fixture
def old_program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The first version of the program, as far as migrations go."""
    migrations = tmp_path / "migrations"
    shutil.copytree(schema.MIGRATIONS, migrations)
    for path in (migrations / "versions").glob("*.py"):
        if not path.name.startswith(OLD):
            path.unlink()
    monkeypatch.setattr("web.schema.MIGRATIONS", migrations)


def migrated_points(lab: Laboratory, data: Path, folder: Path) -> list[Point]:
    copy = folder / "counted"
    shutil.copytree(data, copy)
    commands = [["--data", str(copy), "migrate"]]
    if not can_trace():
        return [Point("before_cursor_execute", number, "KILL") for number in range(3, 40, 3)]
    counted = lab.count(folder, commands, watched(copy))
    return [*choose_points(counted, "KILL", 12)]


def test_f23_migration_that_is_killed_is_whole_or_nothing(
    lab: Laboratory, old_data: Path, old_tables: set[str], folder: Path
) -> None:
    points = migrated_points(lab, old_data, folder)
    assert len(points) >= 10
    data, seen = folder / "node", set()
    for point in points:
        shutil.rmtree(data, ignore_errors=True)
        shutil.copytree(old_data, data)
        assert lab.run(folder, [["--data", str(data), "migrate"]], point, watched(data)).status == -9
        engine = make_engine(f"sqlite:///{data / 'veza.db'}")
        found = set(sa.inspect(engine).get_table_names())
        engine.dispose()
        seen.add(found == old_tables)
        assert found == old_tables or found > old_tables
        assert lab.run(folder, [["--data", str(data), "migrate"], ["--data", str(data), "verify"]]).acks == 2
    assert True in seen


def test_f23_data_of_the_first_version_go_on(
    old_data: Path, capsys: pytest.CaptureFixture[str], request: pytest.FixtureRequest
) -> None:
    veza = ["--data", str(old_data)]
    assert main([*veza, "verify"]) == 1
    assert capsys.readouterr().err.startswith("veza: unsupported_version: ")
    assert main([*veza, "migrate"]) == 0
    assert main([*veza, "verify"]) == 0
    connection = sqlite3.connect(old_data / "veza.db")
    owners = {row[0] for row in connection.execute("SELECT participant FROM proven_key")}
    connection.close()
    assert owners == {"ME", "RS", "XK", "HR"}
    capsys.readouterr()
    request.getfixturevalue("old_program")
    before = (old_data / "veza.db").read_bytes()
    for refused in ("verify", "migrate", "federation"):
        assert main([*veza, refused]) == 1
        assert capsys.readouterr().err.startswith("veza: unsupported_version: ")
    assert (old_data / "veza.db").read_bytes() == before


def test_f23_old_program_goes_on_with_old_data(
    old_data: Path, old_program: None, capsys: pytest.CaptureFixture[str]
) -> None:
    schema.check_version(make_engine(f"sqlite:///{old_data / 'veza.db'}"))


def test_f24_copy_taken_while_others_write_verifies(node: ServedNode, tmp_path: Path) -> None:
    client, done, notes = node.client("ana"), threading.Event(), []

    def write() -> None:
        while not done.is_set():
            held = client.get("/api/v1/units/me-spoc")
            notes.append(f"number {len(notes)}")
            data = held.json["data"] | {"note": notes[-1]}
            assert client.put("/api/v1/units/me-spoc", data, If_Match=held.headers["ETag"]).status_code == 200

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for number in range(5):
            copy = tmp_path / f"copy-{number}.db"
            source, target = sqlite3.connect(node.data / "veza.db"), sqlite3.connect(copy)
            at_least = len(notes) - 1
            source.backup(target, pages=16, sleep=0.001)
            source.close()
            target.close()
            engine = make_engine(f"sqlite:///{copy}")
            schema.check_version(engine)
            with reading(engine) as session:
                assert list(verify_logs(session)) == []
                record = load_record(session, "ME", "unit/me-spoc")
            engine.dispose()
            assert record is not None
            assert at_least < 1 or int(str(record.data["note"]).split()[1]) >= at_least - 1
    finally:
        done.set()
        writer.join(30)


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def newer(network: SimulatedNetwork) -> SimulatedNode:
    """RS, whose node will be of a later version."""
    return network.add("RS")


@pytest.fixture
def follower(engine: sa.Engine, network: SimulatedNetwork, newer: SimulatedNode) -> Follower:
    newer.grow(5)
    network.add("MK").grow(2)
    follower = make_follower(engine, network)
    assert follower.pull_all()["RS"].result == "ok"
    return follower


def configured(node: SimulatedNode, **members: object) -> bytes:
    """The node's configuration with other members of ``veza_node``, signed by its own key."""
    part = node.sign_configuration().split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    claims["iat"] += 60
    claims["metadata"]["veza_node"] |= members
    claims["metadata"]["veza_next"] = {"anything": [1, 2]}
    assert node.identity.federation_key is not None
    return sign(claims, node.identity.federation_key, ENTITY_STATEMENT.typ).encode()


def test_f27_later_version_of_the_same_protocol_is_followed(follower: Follower, newer: SimulatedNode) -> None:
    newer.configuration_token = configured(newer, drills="https://rs.example/drills", limits={"rate": 5})
    newer.publish("vehicle/patrol-1", {"plate": "unknown to this version"})
    newer.publish("member/m-3", {"name": "Duty officer 3", "unheard_of": True})
    assert follower.pull("RS").result == "ok"
    follower.check_holds(newer)
    assert "vehicle/patrol-1" not in follower.records("RS")
    assert follower.records("RS")["member/m-1"]


def test_f27_later_protocol_is_one_clear_refusal(
    follower: Follower, network: SimulatedNetwork, newer: SimulatedNode
) -> None:
    newer.grow(3)
    newer.configuration_token = configured(newer, protocol=2)
    state = follower.snapshot("RS")
    results = follower.pull_all()
    assert (results["RS"].result, results["MK"].result) == ("unsupported_version", "ok")
    assert "protocol" in str(results["RS"].detail)
    assert follower.snapshot("RS") == state
    follower.check_logs()
    newer.configuration_token = None
    assert follower.pull("RS").result == "ok"
    follower.check_holds(newer)
