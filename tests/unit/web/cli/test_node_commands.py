"""Commands that follow others or serve, as far as no other process is needed; and what failures look like."""

import errno
import socket

import click
import pytest

from directory.database import writing
from directory.errors import Fault, NotFoundError
from federation.keys import generate_key, key_set
from federation.participants import bind_participant
from federation.trusted_anchor import trust_anchor
from sync.status import record_failure
from web.cli import COMMANDS, main, veza
from web.cli.failure import CommandError, describe_failure, fault_to_json
from web.cli.nodes import opened_node
from web.cli.output import counting, print_table, working
from web.cli.parameters import now


@pytest.fixture
def following(data):
    """The node follows RS, which is not there."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with opened_node(data) as (_, node), writing(node.engine) as session:
            bind_participant(session, "RS", url, "anchor", key_set(generate_key()))
        yield url


def test_a_node_that_follows_nobody_says_how_to(veza):
    status, out, err = veza("sync")
    assert (status, out) == (1, "")
    assert err.startswith("veza: not_found: nobody is followed yet")
    assert "veza peer add" in err
    assert "veza anchor trust" in err


def test_an_anchor_that_is_silent_is_named(veza, data):
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/anchor"
        with opened_node(data) as (_, node), writing(node.engine) as session:
            trust_anchor(session, url, key_set(generate_key()))
        status, out, err = veza("sync")
    assert (status, out) == (1, "")
    assert err.splitlines()[-1].startswith(f"veza: unreachable: the anchor {url} cannot be asked whom to follow")


def test_a_participant_that_cannot_be_reached_is_named_and_the_status_is_1(veza, following):
    status, out, err = veza("sync")
    assert status == 1
    assert "unreachable" in out
    assert err.splitlines()[-1] == "veza: unreachable: 1 of 1 failed: RS (unreachable)"


def test_a_stranger_cannot_be_synced(veza):
    status, _, err = veza("sync", "TR", "--json")
    assert status == 1
    assert err.splitlines()[-1].startswith("veza: unknown_participant: ")


def test_federation_shows_who_is_followed(answer, veza, following):
    veza("sync")
    rows = {row["participant"]: row for row in answer("federation")}
    assert rows["ME"]["trust"] == "own"
    assert (rows["RS"]["last_result"], rows["RS"]["url"]) == ("unreachable", following)
    assert "RS, unreachable: no connection to 127.0.0.1" in veza("federation")[1], "with the words of the failure"


def test_a_node_has_no_result_of_following_itself(answer, veza, data):
    with opened_node(data) as (_, node), writing(node.engine) as session:
        record_failure(session, "ME", "unknown_participant", "nothing can be pulled of it", now(), retry=False)
    (row,) = answer("federation")
    assert (row["participant"], row["last_result"], row["state"]) == ("ME", None, "fresh")
    assert "unknown_participant" not in veza("federation")[1]


def test_a_port_in_use_is_said_before_anything_starts(veza):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        status, _, err = veza("serve", "--port", port)
    assert status == 1
    assert err.splitlines()[-1].startswith(f"veza: conflict: 127.0.0.1:{port} cannot be served")


@pytest.mark.parametrize(
    "arguments",
    [
        ("serve", "--port", "0"),
        ("serve", "--port", "http"),
        ("serve", "--workers", "0"),
        ("demo", "--nodes", "18"),
        ("demo", "--nodes", "0"),
        ("demo", "--base-port", "80"),
        ("anchor",),
        ("keys",),
        ("user",),
        ("sync", "--fast"),
    ],
)
def test_usage_errors(veza, arguments):
    assert veza(*arguments)[0] == 2


def test_every_command_of_the_table_is_there_and_says_what_it_does():
    context = click.Context(veza_group())
    for name in COMMANDS:
        command = veza_group().get_command(context, name)
        assert command is not None
        assert command.help


def veza_group():
    assert isinstance(veza, click.Group)
    return veza


def test_a_prompt_that_is_interrupted_is_status_1(monkeypatch, capsys):
    def interrupted(*arguments, **options):
        raise click.exceptions.Abort

    monkeypatch.setattr(veza_group(), "main", interrupted)
    assert main(["export"]) == 1
    assert capsys.readouterr().err == "veza: stopped\n"


@pytest.mark.parametrize(
    ("error", "code", "detail"),
    [
        (CommandError("busy", "a\nb"), "busy", "a b"),
        (NotFoundError("no such unit"), "not_found", "no such unit"),
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x.json"), "not_found", "x.json: No such file"),
        (PermissionError(errno.EACCES, "Permission denied", "keys"), "bad_request", "keys: Permission denied"),
        (OSError(errno.ENOSPC, "No space left on device"), "storage_full", "No space left on device"),
    ],
)
def test_a_failure_is_one_line_with_its_code(error, code, detail):
    found = describe_failure(error)
    assert (found[0], found[2]) == (code, ())
    assert found[1].startswith(detail) or detail in found[1]


def test_a_mistake_of_the_program_is_not_dressed_up():
    with pytest.raises(ZeroDivisionError):
        describe_failure(ZeroDivisionError())


def test_what_json_cannot_hold_is_shown_as_text():
    assert fault_to_json(Fault("/a", {1, 2}, "a list"))["found"] == "{1, 2}"
    assert fault_to_json(Fault("/a", [1], "a list"))["found"] == [1]


def test_a_table_lines_up_and_shows_what_is_absent(capsys):
    print_table(("name", "roles", "closed"), [("ana", ["a", "b"], False), ("b", [], True), (None, "x", None)])
    assert capsys.readouterr().out.splitlines() == [
        "name  roles  closed",
        "ana   a, b   no",
        "b     -      yes",
        "-     x      -",
    ]


def test_a_table_without_rows_is_its_headings(capsys):
    print_table(("a", "b"), [])
    assert capsys.readouterr().out == "a  b\n"


def test_progress_is_shown_on_a_terminal_only(capsys, monkeypatch):
    with working("reading"), counting("syncing", 2) as advance:
        advance()
    assert capsys.readouterr().err == ""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    with working("reading"):
        pass
    with counting("syncing", 0) as advance:
        advance()
    assert "syncing" in capsys.readouterr().err
