"""``veza init``: a whole node or nothing, with every fault at once."""

import json
import sqlite3
import stat
import tomllib

import pytest

from directory.database import make_engine, reading
from federation.log import load_heads
from federation.participants import load_participant
from federation.words import format_fingerprint
from web.cli.databases import node_config
from web.cli.init import create_node
from web.config import load_config
from web.errors import ConfigError

ARGUMENTS = ("--participant", "ME", "--url", "https://spoc.example.me")


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def test_a_node_is_made_with_keys_for_its_owner_alone(run, tmp_path):
    data = tmp_path / "deep" / "ME"
    status, out, err = run(
        "--data", data, "init", *ARGUMENTS, "--name", "SPOC Podgorica", "--contact", "noc@me.example"
    )
    assert (status, err) == (0, "")
    assert "next: veza import" in out
    assert mode(data) == mode(data / "keys") == 0o700
    assert {mode(path) for path in (data / "keys").iterdir()} == {0o600}
    assert mode(data / "veza.toml") == mode(data / "veza.db") == 0o600
    assert len(list((data / "keys").iterdir())) == 2


def test_veza_toml_keeps_the_options(run, tmp_path):
    options = ("--name", "SPOC", "--contact", "noc@me.example")
    run("--data", tmp_path / "ME", "init", *ARGUMENTS, *options)
    kept = tomllib.loads((tmp_path / "ME" / "veza.toml").read_text())
    assert kept == {
        "participant": "ME",
        "url": "https://spoc.example.me",
        "name": "SPOC",
        "contacts": ["noc@me.example"],
    }
    assert load_config(tmp_path / "ME", {}).name == "SPOC"


def test_the_log_is_empty_signed_and_trusted_as_own(run, tmp_path):
    status, out, _ = run("--data", tmp_path / "ME", "init", *ARGUMENTS, "--json")
    made = json.loads(out)
    assert status == 0
    assert (made["participant"], made["url"]) == ("ME", "https://spoc.example.me")
    engine = make_engine(node_config(tmp_path / "ME").database)
    with reading(engine) as session:
        (head,) = load_heads(session)
        node = load_participant(session, "ME")
        assert (head.participant, head.own, head.size) == ("ME", True, 0)
        assert head.checkpoint is not None
        assert node.trust == "own"
        assert made["federation_key"] in node.configuration.federation_keys
        assert made["operating_key"] in node.configuration.operating_keys
    engine.dispose()


def test_the_fingerprint_is_shown_to_be_compared(run, tmp_path):
    _, out, _ = run("--data", tmp_path / "ME", "init", *ARGUMENTS)
    _, listed, _ = run("--data", tmp_path / "ME", "keys", "list", "--json")
    (kid,) = [key["kid"] for key in json.loads(listed) if key["use"] == "federation"]
    assert format_fingerprint(kid) in out


def test_keys_can_be_encrypted(run, tmp_path):
    secret = tmp_path / "passphrase"
    secret.write_text("correct horse battery staple\n")
    status, _, _ = run("--data", tmp_path / "ME", "init", *ARGUMENTS, "--passphrase-file", secret)
    assert status == 0
    assert all("ENCRYPTED" in path.read_text() for path in (tmp_path / "ME" / "keys").iterdir())
    assert run("--data", tmp_path / "ME", "keys", "list")[0] == 0
    secret.write_text("another one altogether\n")
    status, _, err = run("--data", tmp_path / "ME", "keys", "list")
    assert status == 1
    assert err.startswith("veza: malformed: ")


def test_every_fault_is_named_at_once(run, data):
    status, out, err = run(
        "--data", data, "init", "--participant", "me", "--url", "https://x/", "--database", "mysql://x"
    )
    assert (status, out) == (1, "")
    for word in ("already holds a node", "participant:", "url:", "database:"):
        assert word in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        ({"participant": "ZZ"}, "ISO 3166-1"),
        ({"participant": "montenegro"}, "participant"),
        ({"url": "http://spoc.example.me"}, "url"),
        ({"url": "https://spoc.example.me/"}, "url"),
        ({"url": "https://user@spoc.example.me"}, "url"),
        ({"url": "https://10.0.0.1"}, "url"),
        ({"url": "spoc.example.me"}, "url"),
        ({"name": ""}, "name"),
    ],
)
def test_what_is_wrong_is_refused_and_nothing_is_made(run, tmp_path, changed, word):
    options = {"participant": "ME", "url": "https://spoc.example.me"} | changed
    arguments = [item for name, value in options.items() for item in (f"--{name}", value)]
    status, _, err = run("--data", tmp_path / "ME", "init", *arguments)
    assert status == 1
    assert err.startswith("veza: ")
    assert word in err
    assert not (tmp_path / "ME").exists()


def test_loopback_needs_the_flag_for_it(run, tmp_path):
    arguments = ("--data", tmp_path / "ME", "init", "--participant", "ME", "--url", "http://127.0.0.1:9100")
    assert run(*arguments)[0] == 1
    assert run(*arguments, "--insecure-urls")[0] == 0


def test_an_existing_node_is_left_alone(run, data):
    before = {path: path.read_bytes() for path in data.rglob("*") if path.is_file()}
    assert run("--data", data, "init", *ARGUMENTS)[0] == 1
    assert {path: path.read_bytes() for path in data.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize("leftover", ["keys", "veza.db"])
def test_what_lies_there_is_never_overwritten(run, tmp_path, leftover):
    (tmp_path / "ME").mkdir()
    (tmp_path / "ME" / leftover).write_text("precious")
    status, _, err = run("--data", tmp_path / "ME", "init", *ARGUMENTS)
    assert status == 1
    assert "already holds" in err
    assert (tmp_path / "ME" / leftover).read_text() == "precious"


def test_a_database_that_cannot_be_used_leaves_nothing_behind(run, tmp_path):
    database = "postgresql+psycopg://nobody:secret@127.0.0.1:1/veza"
    status, _, err = run("--data", tmp_path / "ME", "init", *ARGUMENTS, "--database", database)
    assert status == 1
    assert err.startswith("veza: busy: the database postgresql+psycopg://nobody:***@127.0.0.1:1/veza cannot be used")
    assert "secret" not in err
    assert not (tmp_path / "ME").exists()


def test_a_database_of_another_node_is_refused(run, data, tmp_path):
    status, _, err = run(
        "--data", tmp_path / "RS", "init", "--participant", "RS", "--url", "https://spoc.example.rs",
        "--database", f"sqlite:///{data / 'veza.db'}",
    )  # fmt: skip
    assert status == 1
    assert err.startswith("veza: conflict: the database already holds logs (ME)")
    assert (data / "veza.db").exists()
    assert not (tmp_path / "RS").exists()


def test_an_empty_directory_that_is_there_is_used_and_kept(run, tmp_path):
    (tmp_path / "ME").mkdir()
    assert run("--data", tmp_path / "ME", "init", "--participant", "ZZ", "--url", "https://spoc.example.me")[0] == 1
    assert list((tmp_path / "ME").iterdir()) == []
    assert run("--data", tmp_path / "ME", "init", *ARGUMENTS)[0] == 0


def test_settings_are_checked_before_anything_is_made(tmp_path):
    with pytest.raises(ConfigError):
        create_node(tmp_path / "ME", {"participant": "ME", "url": "https://spoc.example.me", "colour": "red"})
    assert not (tmp_path / "ME").exists()


def test_a_directory_that_cannot_be_made_is_one_line(run, tmp_path):
    (tmp_path / "file").write_text("")
    status, _, err = run("--data", tmp_path / "file" / "ME", "init", *ARGUMENTS)
    assert status == 1
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize("missing", ["--participant", "--url"])
def test_missing_options_are_usage_errors(run, tmp_path, missing):
    arguments = {"--participant": "ME", "--url": "https://spoc.example.me"}
    del arguments[missing]
    assert run("--data", tmp_path / "ME", "init", *sum(arguments.items(), ()))[0] == 2


def test_no_node_in_the_data_directory_is_said_by_every_command(run, tmp_path):
    commands = [
        ("import", "x.json"), ("export",), ("sync",), ("federation",), ("lookup", "--country", "RS"),
        ("on-duty", "ME:unit/me-spoc"), ("rota", "shifts", "ME:unit/me-spoc", "--from", "2026-01-05T07:00:00Z",
        "--to", "2026-01-06T07:00:00Z"), ("anchor", "list"), ("anchor", "init"), ("keys", "list"), ("user", "list"),
        ("verify",), ("rebuild",), ("migrate",), ("readiness",), ("serve",), ("worker",),
    ]  # fmt: skip
    for command in commands:
        status, out, err = run("--data", tmp_path / "nowhere", *command)
        assert (status, out) == (1, ""), command
        assert err.startswith(f"veza: not_found: {tmp_path / 'nowhere'} holds no node"), command


def test_a_database_of_a_newer_program_is_left_alone(veza, data):
    with sqlite3.connect(data / "veza.db") as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    for command in (("export",), ("migrate",), ("verify",), ("user", "list")):
        status, _, err = veza(*command)
        assert status == 1
        assert err.startswith("veza: unsupported_version: ")
        assert "9999" in err


def test_a_database_that_is_none_is_one_line(veza, data):
    (data / "veza.db").write_bytes(b"no database" * 100)
    status, _, err = veza("export")
    assert status == 1
    assert err.startswith("veza: busy: the database sqlite:///")
    assert len(err.splitlines()) == 1


def test_wrong_settings_are_named_together(veza, data):
    (data / "veza.toml").write_text('participant = "m"\nurl = 3\ncolour = "red"\n')
    status, _, err = veza("export")
    assert status == 1
    for word in ("participant", "url", "colour"):
        assert word in err
