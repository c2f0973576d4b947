"""``veza verify`` names the first difference, whoever made it: a disk, a hand in the database, or a bug."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from federation.checkpoint import make_checkpoint
from federation.encoding import b64url_encode
from federation.entries import Entry, make_put
from federation.keys import key_set
from federation.log import append_entries, create_log, load_head
from federation.merkle import leaf_hash
from federation.own_configuration import renew_configuration
from federation.participants import bind_participant, store_configuration
from federation.projection import rebuild
from federation.publishing import PendingChange, publish, renew_checkpoint
from federation.statements import make_configuration
from federation.verification import Finding, verify_logs
from tests.unit.federation.samples import NOW, SECOND, altered, identity, key, unit

ME, RS = identity("ME"), identity("RS")


@pytest.fixture
def node(engine: sa.Engine) -> sa.Engine:
    """ME with an own log of four entries and RS's log of three, one of them skipped."""
    changes = [("spoc", "Duty desk"), ("desk", "Border desk"), ("spoc", "Renamed"), ("spoc", "Renamed again")]
    with writing(engine) as session:
        create_log(session, "ME", own=True)
        renew_configuration(session, ME, name="ME", now=NOW)
        renew_checkpoint(session, ME, NOW)
        for slug, name in changes:
            publish(session, ME, [PendingChange(f"unit/{slug}", "put", unit(name))], NOW)
        assert RS.federation_key is not None
        bind_participant(session, "RS", RS.entity_id, "peering", key_set(RS.federation_key))
        store_configuration(session, make_configuration(RS, now=NOW))
        head = create_log(session, "RS", own=False)
        entries = [
            make_put(0, "unit/spoc", unit("first"), NOW),
            make_put(1, "unit/spoc", unit("second"), NOW),
            Entry(b"malformed", None),
        ]
        frontier = head.frontier.extend(leaf_hash(entry.header) for entry in entries)
        append_entries(session, head, entries, frontier, make_checkpoint(RS, 3, frontier.root(), NOW), NOW)
    return engine


def verify(node: sa.Engine) -> list[Finding]:
    with reading(node) as session:
        return verify_logs(session)


def damage(node: sa.Engine, statement: str, **values: object) -> None:
    with writing(node) as session:
        assert session.execute(sa.text(statement), values).rowcount  # type: ignore[attr-defined]


def test_an_honest_database_verifies(node: sa.Engine) -> None:
    assert verify(node) == []


OWN_CHECKPOINT = "UPDATE log SET checkpoint = :token WHERE participant = 'ME'"


@pytest.mark.parametrize(
    ("statement", "values", "participant", "what", "place"),
    [
        pytest.param(
            "UPDATE entry SET header = :b WHERE participant = 'RS' AND seq = 1",
            {"b": b"{}"},
            "RS",
            "root",
            0,
            id="a header with its payload",
        ),
        pytest.param(
            "UPDATE entry SET header = :b WHERE participant = 'RS' AND seq = 2",
            {"b": b"{}"},
            "RS",
            "root",
            0,
            id="a header",
        ),
        pytest.param(
            "UPDATE entry SET payload = :b WHERE participant = 'ME' AND seq = 1",
            {"b": b"{}"},
            "ME",
            "digest",
            1,
            id="a payload",
        ),
        pytest.param(
            "UPDATE entry SET payload = NULL WHERE participant = 'ME' AND seq = 3",
            {},
            "ME",
            "payload",
            3,
            id="a current payload erased",
        ),
        pytest.param(
            "UPDATE entry SET superseded_at = NULL WHERE participant = 'ME' AND seq = 0",
            {},
            "ME",
            "erasure",
            0,
            id="a superseded payload that nothing will erase",
        ),
        pytest.param(
            "DELETE FROM entry WHERE participant = 'RS' AND seq = 2", {}, "RS", "entry", 2, id="the last entry gone"
        ),
        pytest.param(
            "DELETE FROM entry WHERE participant = 'RS' AND seq = 0", {}, "RS", "entry", 0, id="the first entry gone"
        ),
        pytest.param(
            "DELETE FROM entry WHERE participant = 'ME' AND seq = 1", {}, "ME", "entry", 1, id="an entry inside gone"
        ),
        pytest.param(
            "INSERT INTO entry (participant, seq, header) VALUES ('RS', 3, :b)",
            {"b": b"x"},
            "RS",
            "entry",
            3,
            id="an entry too many",
        ),
        pytest.param("UPDATE log SET size = 2 WHERE participant = 'RS'", {}, "RS", "head", 2, id="a head too small"),
        pytest.param(
            "UPDATE log SET root = :b WHERE participant = 'RS'", {"b": bytes(32)}, "RS", "head", 3, id="another root"
        ),
        pytest.param(
            "UPDATE log SET frontier = :b WHERE participant = 'RS'",
            {"b": (1).to_bytes(8, "big") + bytes(32)},
            "RS",
            "frontier",
            3,
            id="another frontier",
        ),
        pytest.param(
            "UPDATE log SET checkpoint = NULL WHERE participant = 'RS'", {}, "RS", "checkpoint", 3, id="no checkpoint"
        ),
        pytest.param(OWN_CHECKPOINT, {"token": "x.y.z"}, "ME", "checkpoint", 4, id="no token"),
        pytest.param(
            "DELETE FROM seen_checkpoint WHERE participant = 'RS'",
            {},
            "RS",
            "accepted checkpoint",
            3,
            id="a forgotten checkpoint",
        ),
        pytest.param(
            "UPDATE seen_checkpoint SET root = :b WHERE participant = 'RS'",
            {"b": bytes(32)},
            "RS",
            "accepted checkpoint",
            3,
            id="another accepted root",
        ),
        pytest.param(
            "DELETE FROM configuration WHERE participant = 'RS'",
            {},
            "RS",
            "checkpoint",
            3,
            id="the signer's configuration gone",
        ),
        pytest.param(
            "UPDATE record SET data = '{}' WHERE participant = 'ME' AND record = 'unit/desk'",
            {},
            "ME",
            "read model",
            "unit/desk",
            id="a shown record",
        ),
        pytest.param(
            "UPDATE record SET state = 'deleted' WHERE participant = 'ME' AND record = 'unit/desk'",
            {},
            "ME",
            "read model",
            "unit/desk",
            id="a record hidden",
        ),
        pytest.param(
            "UPDATE record SET seq = 0 WHERE participant = 'RS'",
            {},
            "RS",
            "read model",
            "unit/spoc",
            id="another number",
        ),
        pytest.param(
            "DELETE FROM record WHERE participant = 'RS'", {}, "RS", "read model", "unit/spoc", id="a record missing"
        ),
        pytest.param(
            "UPDATE record SET record = 'unit/extra' WHERE participant = 'RS'",
            {},
            "RS",
            "read model",
            "unit/spoc",
            id="a record renamed",
        ),
        pytest.param(
            "DELETE FROM skipped WHERE participant = 'RS'", {}, "RS", "read model", 2, id="a skipped entry hidden"
        ),
        pytest.param(
            "UPDATE skipped SET code = 'fork' WHERE participant = 'RS'", {}, "RS", "read model", 2, id="another code"
        ),
        pytest.param(
            "INSERT INTO skipped (participant, seq, code, detail) VALUES ('ME', 1, 'bad_entry', '')",
            {},
            "ME",
            "read model",
            1,
            id="a skipped entry invented",
        ),
    ],
)
def test_the_first_difference_is_named(
    node: sa.Engine, statement: str, values: dict[str, Any], participant: str, what: str, place: int | str
) -> None:
    damage(node, statement, **values)
    findings = verify(node)
    assert (findings[0].participant, findings[0].what, findings[0].place) == (participant, what, place)
    assert findings[0].what_to_do
    assert findings[0].expected != findings[0].found
    assert {finding.participant for finding in findings} == {participant}


def test_an_invented_record_is_found(node: sa.Engine) -> None:
    damage(
        node,
        "INSERT INTO record (participant, record, type, seq, at, data, state, version) "
        "SELECT participant, 'unit/extra', type, seq, at, data, state, version FROM record WHERE record = 'unit/desk'",
    )
    found = [(finding.what, finding.place) for finding in verify(node)]
    assert found == [("read model", "unit/extra"), ("counter", "directory")]  # the copy has the original's version


def test_the_same_record_in_another_spelling_is_the_same(node: sa.Engine) -> None:
    damage(node, "UPDATE record SET data = ' ' || data")
    assert verify(node) == []


@pytest.mark.parametrize(
    "token",
    [
        pytest.param(make_checkpoint(ME, 4, b"\x01" * 32, NOW).token, id="another root"),
        pytest.param(make_checkpoint(ME, 5, b"\x01" * 32, NOW).token, id="another size"),
        pytest.param(altered(make_checkpoint(ME, 4, b"\x01" * 32, NOW).token, key("stolen")), id="another key"),
        pytest.param(make_checkpoint(RS, 3, b"\x01" * 32, NOW).token, id="another participant's"),
    ],
)
def test_another_checkpoint_is_found(node: sa.Engine, token: str) -> None:
    damage(node, OWN_CHECKPOINT, token=token)
    assert verify(node)[0].what in {"head", "checkpoint"}


def test_a_log_that_was_never_followed_yet_has_nothing_to_verify(engine: sa.Engine) -> None:
    with writing(engine) as session:
        create_log(session, "RS", own=False)
    assert verify(engine) == []


def test_a_checkpoint_from_before_a_move_still_verifies(node: sa.Engine) -> None:
    moved = replace(RS, entity_id="https://new.example.rs")
    with writing(node) as session:
        store_configuration(session, make_configuration(moved, now=NOW + SECOND))
    assert verify(node) == []


def test_a_checkpoint_of_a_key_removed_since_still_verifies(node: sa.Engine) -> None:
    rotated = identity("RS", "rs operating 2")
    with writing(node) as session:
        store_configuration(session, make_configuration(rotated, now=NOW + SECOND))
    assert verify(node) == []


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE record SET data = '{}'",
        "UPDATE record SET state = 'unreadable'",
        "DELETE FROM record",
        "DELETE FROM skipped",
    ],
)
def test_a_rebuild_mends_the_read_model(node: sa.Engine, statement: str) -> None:
    damage(node, statement)
    assert verify(node)
    with writing(node) as session:
        assert rebuild(session) == 2
    assert verify(node) == []


def test_several_logs_are_reported_each(node: sa.Engine) -> None:
    damage(node, "UPDATE log SET root = :b", b=bytes(32))
    damage(node, "UPDATE record SET data = '{}'")
    findings = verify(node)
    assert [(finding.participant, finding.what) for finding in findings] == [
        (participant, what) for participant in ("ME", "RS") for what in ("head", "read model")
    ]
    with reading(node) as session:
        head = load_head(session, "ME")
    assert head is not None
    assert b64url_encode(head.root) == b64url_encode(bytes(32))
