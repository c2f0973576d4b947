"""What ``veza doctor`` finds and what it changes; commands under a clock that cannot be right (abuse.md F11, F26)."""

import collections
import datetime as dt
import json
import socket

import pytest
import sqlalchemy as sa
import time_machine

from directory.database import reading, writing
from federation.keys import generate_key, key_set
from federation.log import mark_disputed
from federation.own_node import hold_back, load_own_node
from federation.participants import bind_participant, end_trust, load_participant
from sync.clock_watch import PeerClock
from sync.instance import Shown, write_instance
from sync.status import record_failure, record_success
from web import diagnosis
from web.cli.databases import opened_database
from web.cli.nodes import opened_node
from web.cli.parameters import now

DAY = dt.timedelta(days=1)
Usage = collections.namedtuple("Usage", "total used free")


@pytest.fixture
def session(data):
    with opened_database(data) as (_, engine), writing(engine) as session:
        yield session


@pytest.fixture
def following(data):
    """The node trusts RS, which is not there."""
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with opened_node(data) as (_, node), writing(node.engine) as session:
            bind_participant(session, "RS", url, "peering", key_set(generate_key()))
    return url


def found(veza, status=0):
    exited, out, err = veza("doctor", "--json")
    assert exited == status, err
    return {line["check"]: line for line in json.loads(out)}


def results(lines):
    return {check: line["result"] for check, line in lines.items()}


def set_back(data, reason):
    with opened_database(data) as (_, engine), writing(engine) as session:
        hold_back(session, reason)


def held_back(data):
    with opened_database(data) as (_, engine), reading(engine) as session:
        return load_own_node(session).held_back


def test_a_node_that_is_well(veza):
    lines = found(veza)
    assert {check for check, result in results(lines).items() if result != "ok"} == {"instance", "worker"}
    assert all(line["advice"] for line in lines.values() if line["result"] != "ok")


def test_one_line_each_for_people(veza):
    status, out, err = veza("doctor")
    assert (status, err) == (0, "")
    assert "ok       database        SQLite" in out
    assert "warning  worker          no worker is running; start `veza serve`" in out


@pytest.mark.parametrize("reason", ["restored", "elsewhere"])
def test_an_own_log_that_needs_somebody_is_a_failure(veza, data, reason):
    set_back(data, reason)
    assert found(veza, status=1)["own_log"]["result"] == "failure"
    assert veza("doctor")[2].startswith("veza: conflict: 1 of ")


def test_the_federation_is_shown_with_why_nothing_is_signed(veza, data):
    assert "signs nothing" not in veza("federation")[1]
    set_back(data, "restored")
    assert "this node signs nothing: the node was restored" in veza("federation")[1]


def test_a_disputed_own_log_is_a_failure(data, veza):
    with opened_database(data) as (_, engine), writing(engine) as session:
        mark_disputed(session, "ME", "another history")
    assert "veza dispute" in found(veza, status=1)["own_log"]["advice"]


def test_after_a_restore_the_operator_may_say_that_nobody_can_be_asked(veza, data, following, tmp_path):
    set_back(data, "restored")
    document = tmp_path / "me.json"
    document.write_text(json.dumps({"participant": "ME"}), encoding="utf-8")
    status, _, err = veza("import", document)
    assert status == 1
    assert err.startswith("veza: busy: 0 of 1 peers answered")
    assert held_back(data) == "restored"
    assert veza("doctor", "--alone")[0] == 0
    assert held_back(data) is None


def test_a_command_compares_the_log_where_nothing_runs(veza, data, following, tmp_path):
    set_back(data, "starting")
    status, _, err = veza("keys", "rotate")
    assert status == 0, err
    assert held_back(data) is None


@pytest.mark.parametrize(("year", "rule"), [(1970, "before_release"), (2100, "after_program")])
def test_a_clock_at_boot_that_cannot_be_right(veza, data, year, rule):
    with time_machine.travel(dt.datetime(year, 1, 2, tzinfo=dt.UTC), tick=True):
        status, _, err = veza("keys", "rotate")
        assert status == 1
        assert err.startswith(f"veza: clock_implausible: {rule}: ")
        status, out, err = veza("doctor")
        assert status == 1
        assert f"failure  clock           clock_implausible: {rule}: " in out
    assert veza("doctor")[0] == 0, "the clock is right again"
    status, _, err = veza("keys", "rotate")
    assert status == 0, err


def test_a_clock_before_the_last_signature_that_the_operator_accepts(veza, data):
    with time_machine.travel(now() - DAY, tick=True):
        assert veza("keys", "rotate")[2].startswith("veza: clock_implausible: before_signature: ")
        assert veza("doctor", "--accept-clock")[0] == 0
        before = configuration(data)
        status, _, err = veza("keys", "rotate")
        assert status == 0, err
        assert configuration(data).issued_at == before.issued_at + dt.timedelta(seconds=1)


def configuration(data):
    with opened_database(data) as (_, engine), reading(engine) as session:
        return load_participant(session, "ME").configuration


def test_init_under_a_wrong_clock_makes_nothing(run, tmp_path):
    with time_machine.travel(dt.datetime(1970, 1, 2, tzinfo=dt.UTC), tick=True):
        arguments = ("--participant", "ME", "--url", "http://127.0.0.1:9101", "--insecure-urls")
        status, _, err = run("--data", tmp_path / "new", "init", *arguments)
    assert status == 1
    assert err.startswith("veza: clock_implausible: before_release: ")
    assert not (tmp_path / "new").exists()


class TestJudgements:
    @pytest.mark.parametrize(
        ("offsets", "result"),
        [((), "ok"), ((0,), "ok"), ((0, 0), "ok"), ((900,), "warning"), ((0, 900, 900), "warning")],
    )
    def test_the_clock_beside_the_peers(self, offsets, result):
        clocks = [PeerClock("RS", dt.timedelta(seconds=offset)) for offset in offsets]
        assert diagnosis.judge_clock(diagnosis.OwnNode(), clocks).result == result

    def test_who_answers_at_the_own_address(self, session, data):
        config = opened_config(data)
        own = write_instance(session, now())
        shown = [Shown("ME", own), Shown("RS", "x" * 43), Shown("ME", "x" * 43), None]
        judged = [diagnosis.judge_instance_shown(session, each, config).result for each in shown]
        assert judged == ["ok", "warning", "failure", "warning"]

    def test_a_copied_directory_sees_that_the_original_answers(self, session, data):
        """The copy holds the original's instance too; that it wrote a newer one shows that somebody else answers."""
        config, original = opened_config(data), write_instance(session, now() - DAY)
        newest = write_instance(session, now())
        judged = diagnosis.judge_instance_shown(session, Shown("ME", original), config, newest)
        assert (judged.result, judged.check) == ("failure", "instance")

    def test_a_fork_is_for_a_person_to_decide(self, session):
        bind_participant(session, "RS", "https://rs.example", "peering", key_set(generate_key()))
        record_failure(session, "RS", "fork", "RS signed two histories", now(), retry=False)
        (judged,) = diagnosis.judge_peers(session, now())
        assert judged.result == "warning"
        assert "veza dispute resolve RS" in judged.advice
        end_trust(session, "RS", now())
        record_success(session, "RS", "https://rs.example", now())
        (judged,) = diagnosis.judge_peers(session, now())
        assert "veza peer add" in judged.advice

    def test_old_keys_and_open_files(self, session, data):
        config = opened_config(data)
        assert [each.result for each in diagnosis.judge_keys(session, config, now() + 366 * DAY)] == ["ok", "warning"]
        next(config.keys_dir.glob("operating*.pem")).chmod(0o640)
        finding = diagnosis.judge_key_files(config)
        assert (finding.result, "operating" in finding.detail) == ("failure", True)

    @pytest.mark.parametrize(("later", "result"), [(0, "ok"), (43, "warning"), (49, "failure")])
    def test_a_checkpoint_that_nobody_renews(self, session, later, result):
        at = now() + later * dt.timedelta(hours=1)
        assert diagnosis.judge_checkpoint(session, "ME", at).result == result

    @pytest.mark.parametrize(("later", "result"), [(0, "ok"), (6, "warning"), (8, "failure")])
    def test_a_configuration_that_nobody_renews(self, session, later, result):
        assert diagnosis.judge_configuration(session, "ME", now() + later * DAY).result == result

    def test_what_is_not_there(self, session):
        assert diagnosis.judge_checkpoint(session, "RS", now()).result == "failure"

    @pytest.mark.parametrize(("free", "result"), [(10**12, "ok"), (5 * 10**8, "warning"), (10**7, "failure")])
    def test_the_disk(self, data, monkeypatch, free, result):
        monkeypatch.setattr("web.diagnosis.shutil.disk_usage", lambda path: Usage(2 * free, free, free))
        assert diagnosis.judge_disk(opened_config(data)).result == result

    def test_peers(self, following, session):
        assert [each.result for each in diagnosis.judge_peers(session, now())] == ["ok"]
        record_success(session, "RS", following, now())
        assert [each.detail for each in diagnosis.judge_peers(session, now())] == ["the last sync went well"]
        record_failure(session, "RS", "timeout", "no answer", now(), True)
        (finding,) = diagnosis.judge_peers(session, now())
        assert (finding.check, finding.result, finding.detail) == ("peer RS", "warning", "timeout: no answer")

    def test_write_ahead_logging_in_an_old_library(self, tmp_path, monkeypatch):
        engine = sa.create_engine(f"sqlite:///{tmp_path / 'wal.db'}")
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA journal_mode=WAL")
            monkeypatch.setattr(diagnosis, "WAL_SAFE_SINCE", (99, 0, 0))
            finding = diagnosis.judge_database(connection)
            assert (finding.result, "journal mode WAL" in finding.detail) == ("warning", True)
            monkeypatch.setattr(diagnosis, "WAL_SAFE_SINCE", (3, 0, 0))
            assert diagnosis.judge_database(connection).result == "ok"
        engine.dispose()


def opened_config(data):
    with opened_database(data) as (config, _):
        return config
