"""Publishing: what an administrator saves becomes entries and a signed checkpoint, all or nothing."""

from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from directory.database import reading, writing
from directory.errors import DirectoryError, InvalidInputError, NotFoundError, StaleVersionError
from directory.store import load_record, load_records, load_rota_versions
from federation.checkpoint import Checkpoint, read_checkpoint, verify_checkpoint
from federation.errors import ClockError, FederationError, KeyFileError, NotHeldError
from federation.identity import Identity
from federation.keys import key_set
from federation.log import create_log, load_head, mark_disputed, read_entries
from federation.own_configuration import KeyChanges, renew_configuration
from federation.participants import configurations_chain, load_configuration
from federation.publishing import ABSENT, PendingChange, publish, renew_checkpoint
from federation.trust import follow_chain
from federation.verification import verify_logs
from tests.unit.federation.samples import DAY, HOUR, NOW, SECOND, identity, key, unit

ME = identity("ME")
ROTA = {
    "unit": "spoc",
    "time_zone": "Europe/Podgorica",
    "layers": [
        {
            "name": "day",
            "members": ["m-1", "m-2"],
            "start": "2026-01-05T08:00",
            "rotation": {"every": 1, "unit": "weeks"},
        }
    ],
    "overrides": [],
}


def put(
    slug: str = "spoc", name: str = "Duty desk", expected_seq: int | None = None, **members: object
) -> PendingChange:
    return PendingChange(f"unit/{slug}", "put", unit(name, **members), expected_seq)


def delete(slug: str = "spoc", expected_seq: int | None = None) -> PendingChange:
    return PendingChange(f"unit/{slug}", "delete", None, expected_seq)


@pytest.fixture
def node(engine: sa.Engine) -> sa.Engine:
    """A node as ``veza init`` leaves it: a configuration, an empty log, a checkpoint over it."""
    with writing(engine) as session:
        create_log(session, "ME", own=True)
        renew_configuration(session, ME, name="Montenegro", now=NOW)
        renew_checkpoint(session, ME, NOW)
    return engine


def save(node: sa.Engine, *changes: PendingChange, now: Any = NOW, by: Identity = ME) -> Checkpoint:
    """One transaction, after which everything must still verify."""
    with writing(node) as session:
        checkpoint = publish(session, by, changes, now)
    with reading(node) as session:
        assert verify_logs(session) == []
    return checkpoint


def refused(node: sa.Engine, *changes: PendingChange, now: Any = NOW, by: Identity = ME) -> Any:
    """The error of a publication that must change nothing."""

    def log() -> Any:
        with reading(node) as session:
            return load_head(session, "ME"), [(r.record, r.seq) for r in load_records(session)]

    before = log()
    with pytest.raises((FederationError, DirectoryError)) as refusal, writing(node) as session:
        publish(session, by, changes, now)
    assert log() == before
    return refusal.value


def test_a_fresh_node_signs_its_empty_log(node: sa.Engine) -> None:
    with reading(node) as session:
        head = load_head(session, "ME")
        assert head is not None
        assert head.checkpoint is not None
        assert read_checkpoint(head.checkpoint).size == 0
        assert verify_logs(session) == []


def test_what_is_saved_is_signed_and_shown(node: sa.Engine) -> None:
    checkpoint = save(node, put(), put("desk", "Border desk"))
    with reading(node) as session:
        head = load_head(session, "ME")
        assert head is not None
        assert (head.size, head.root, head.checkpoint) == (2, checkpoint.root, checkpoint.token)
        assert [record.data["name"]["en"] for record in load_records(session)] == ["Border desk", "Duty desk"]
    keys = key_set(ME.operating_key)
    assert (
        verify_checkpoint(checkpoint.token, entity_id=ME.entity_id, participant="ME", keys=keys, now=NOW) == checkpoint
    )


def test_saving_the_same_again_appends_nothing(node: sa.Engine) -> None:
    first = save(node, put())
    again = save(node, replace(put(), data=dict(reversed(unit().items()))), now=NOW + HOUR)
    assert again == first


def test_true_is_not_one(node: sa.Engine) -> None:
    assert save(node, put(extra=1)).size == 1
    assert save(node, put(extra=True)).size == 2
    assert save(node, put(extra=1.0)).size == 3


def test_an_empty_publication_of_a_new_log_signs_it(engine: sa.Engine) -> None:
    with writing(engine) as session:
        create_log(session, "ME", own=True)
        assert publish(session, ME, [], NOW).size == 0


@pytest.mark.parametrize(
    ("change", "seq"),
    [
        pytest.param(put(name="b", expected_seq=0), 0, id="the version it was made from"),
        pytest.param(put("new", expected_seq=ABSENT), ABSENT, id="a record that must not exist"),
        pytest.param(delete(expected_seq=0), 0, id="a deletion"),
        pytest.param(put(name="b"), None, id="whatever stands"),
    ],
)
def test_a_change_from_the_current_version_is_saved(node: sa.Engine, change: PendingChange, seq: int | None) -> None:
    save(node, put())
    assert save(node, change).size == 2
    assert change.expected_seq == seq


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(put(name="late", expected_seq=0), id="an old version"),
        pytest.param(put(name="late", expected_seq=99), id="a version of the future"),
        pytest.param(put(name="late", expected_seq=ABSENT), id="a record that exists"),
        pytest.param(put("gone", expected_seq=1), id="a record that was deleted"),
        pytest.param(put("new", expected_seq=0), id="a record that never was"),
        pytest.param(delete(expected_seq=0), id="a deletion of an old version"),
        pytest.param(put(name="second", expected_seq=0), id="unchanged data of an old version"),
    ],
)
def test_somebody_saved_first(node: sa.Engine, change: PendingChange) -> None:
    save(node, put(), put("gone"))
    save(node, put(name="second"), delete("gone"))
    error = refused(node, put("honest"), change)
    assert isinstance(error, StaleVersionError)
    assert "somebody saved first" in error.detail


@pytest.mark.parametrize(
    ("changes", "places"),
    [
        pytest.param([put(hours="sometimes")], {"/hours"}, id="one record"),
        pytest.param([put(hours="x", kind="y")], {"/hours", "/kind"}, id="every fault of a record"),
        pytest.param(
            [put(), put("b", hours="x"), put("c", kind="y")], {"/unit~1b/hours", "/unit~1c/kind"}, id="every record"
        ),
        pytest.param([PendingChange("unit/BB", "put", unit())], {""}, id="a slug in capitals"),
        pytest.param([PendingChange("unit/../x", "delete")], {""}, id="a path"),
        pytest.param([put(name="a\u202eb")], {"/name/en"}, id="a name that turns the text"),
    ],
)
def test_every_fault_is_named_and_nothing_is_saved(
    node: sa.Engine, changes: list[PendingChange], places: set[str]
) -> None:
    error = refused(node, *changes)
    assert isinstance(error, InvalidInputError)
    assert {fault.place for fault in error.faults} == places


@pytest.mark.parametrize(
    "change",
    [
        PendingChange("participant/self", "put", {"country": "RS"}),
        PendingChange("drone/x", "put", {}),
        PendingChange("unit/spoc", "put", None),
        PendingChange("unit/spoc", "put", unit(note="x" * 70_000)),
    ],
    ids=["another country", "an unknown type", "no data", "beyond 64 KiB"],
)
def test_a_node_publishes_only_what_its_peers_would_show(node: sa.Engine, change: PendingChange) -> None:
    assert isinstance(refused(node, put("honest"), change), InvalidInputError)


@pytest.mark.parametrize("slug", ["never", "gone"])
def test_what_is_not_there_cannot_be_deleted(node: sa.Engine, slug: str) -> None:
    save(node, put("gone"))
    save(node, delete("gone"))
    assert isinstance(refused(node, put("honest"), delete(slug)), NotFoundError)


def test_changes_of_one_record_in_one_publication_follow_each_other(node: sa.Engine) -> None:
    checkpoint = save(node, put(), put(name="b", expected_seq=0), delete(expected_seq=1), put(expected_seq=ABSENT))
    assert checkpoint.size == 4
    assert refused(node, delete(), delete()).code == "not_found"


def test_a_superseded_rota_is_kept_for_undo(node: sa.Engine) -> None:
    def rota(**members: object) -> PendingChange:
        return PendingChange("rota/spoc", "put", ROTA | members)

    save(node, rota(name="first"))
    save(node, rota(name="second"), now=NOW + HOUR)
    save(node, PendingChange("rota/spoc", "delete"), now=NOW + DAY)
    with reading(node) as session:
        versions = load_rota_versions(session, "rota/spoc")
    assert [(v.seq, v.data["name"], v.published_at, v.replaced_at) for v in versions] == [
        (1, "second", NOW + HOUR, NOW + DAY),
        (0, "first", NOW, NOW + HOUR),
    ]


def test_iat_never_goes_back(node: sa.Engine) -> None:
    issued = [save(node, put(name=str(after)), now=NOW + after * SECOND).issued_at for after in (0, 0, 10, 5, -200, 11)]
    assert [int((at - NOW).total_seconds()) for at in issued] == [0, 0, 10, 10, 10, 11]


@pytest.mark.parametrize("back", [301, 86_400, 50 * 365 * 86_400])
def test_a_clock_that_went_back_publishes_nothing(node: sa.Engine, back: int) -> None:
    assert isinstance(refused(node, put(), now=NOW - back * SECOND), ClockError)
    with pytest.raises(ClockError), writing(node) as session:
        renew_checkpoint(session, ME, NOW - back * SECOND)
    with pytest.raises(ClockError), writing(node) as session:
        renew_configuration(session, ME, name="x", now=NOW - back * SECOND)


def test_a_node_signs_only_with_keys_that_its_configuration_lists(node: sa.Engine) -> None:
    """A copied data directory with a new key, or a rotation half done."""
    assert refused(node, put(), by=replace(ME, operating_key=key("unlisted"))).code == "unknown_key"
    rotated = replace(ME, operating_key=key("me operating 2"), former_keys=(ME.operating_key,))
    with writing(node) as session:
        added = KeyChanges(new_operating=rotated.operating_key)
        renew_configuration(session, rotated, name="Montenegro", now=NOW, changes=added)
    save(node, put(), by=rotated)
    save(node, put(name="b"), by=ME)


def test_a_disputed_own_log_signs_nothing(node: sa.Engine) -> None:
    with writing(node) as session:
        mark_disputed(session, "ME", "the other history")
    assert refused(node, put()).code == "busy"
    with pytest.raises(FederationError, match="busy"), writing(node) as session:
        renew_checkpoint(session, ME, NOW)


@pytest.mark.parametrize("own", [None, False])
def test_only_an_own_log_is_published_to(engine: sa.Engine, own: bool | None) -> None:
    with writing(engine) as session:
        if own is not None:
            create_log(session, "ME", own)
        with pytest.raises(NotHeldError, match="veza init"):
            publish(session, ME, [put()], NOW)


def test_a_checkpoint_is_renewed_without_growing(node: sa.Engine) -> None:
    first = save(node, put())
    with writing(node) as session:
        renewed = renew_checkpoint(session, ME, NOW + HOUR)
        head = load_head(session, "ME")
    assert (renewed.size, renewed.root, renewed.issued_at) == (first.size, first.root, NOW + HOUR)
    assert head is not None
    assert (head.checkpoint, head.checked_at) == (renewed.token, NOW + HOUR)


def test_configurations_of_one_second_stand_a_second_apart(node: sa.Engine) -> None:
    with writing(node) as session:
        again = renew_configuration(session, ME, name="Montenegro", now=NOW)
        assert again.issued_at == NOW + SECOND
        assert load_configuration(session, "ME") == again


def test_a_federation_key_rotates_so_that_followers_can_follow(node: sa.Engine) -> None:
    second = replace(ME, federation_key=key("me federation 2"))
    assert second.federation_key is not None
    with writing(node) as session:
        added = KeyChanges(new_federation=second.federation_key)
        renew_configuration(session, ME, name="ME", now=NOW + HOUR, changes=added)
        signing = KeyChanges(signer=second.federation_key.kid)
        current = renew_configuration(session, second, name="ME", now=NOW + HOUR, changes=signing)
        chain = configurations_chain(session, "ME")
    followed = follow_chain(
        chain,
        start=key_set(key("me federation")),
        held=None,
        entity_id=ME.entity_id,
        participant="ME",
        now=NOW + DAY,
    )
    assert followed[-1] == current
    with pytest.raises(KeyFileError), writing(node) as session:
        renew_configuration(session, replace(ME, federation_key=None), name="ME", now=NOW + DAY)


def test_a_large_import_is_one_publication(node: sa.Engine) -> None:
    units = [put(f"u{number}", f"Unit {number}") for number in range(450)]
    assert save(node, *units).size == 450
    changed = [*units[:-1], put("u449", "Renamed", expected_seq=449)]
    assert save(node, *changed).size == 451
    with reading(node) as session:
        assert len(read_entries(session, "ME", 0, 500)) == 451
        renamed = load_record(session, "ME", "unit/u449")
        assert renamed is not None
        assert renamed.data["name"] == {"en": "Renamed"}
