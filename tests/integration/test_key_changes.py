"""Rotating and revoking this node's keys: one history, whoever signs and wherever a process dies."""

import datetime as dt
import os
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from directory.database import make_engine, reading, writing
from federation.errors import FederationError, KeyFileError, NotHeldError, TokenError
from federation.keys import KeySet, generate_key, save_key
from federation.log import mark_disputed
from federation.own_configuration import OVERLAP, KeyChanges, renew_configuration
from federation.participants import load_configurations
from federation.publishing import PendingChange, publish
from federation.trust import follow_chain
from sync.errors import StorageError
from sync.jobs import renew_own_checkpoint
from sync.key_changes import continue_federation_rotation
from tests.simulators.host import ENTITY_ID, Host, make_host, open_host, trust_the_anchor
from tests.simulators.network import SimulatedNetwork
from tests.simulators.node_simulator import duty_officer

DAY, SECOND = dt.timedelta(days=1), dt.timedelta(seconds=1)


@pytest.fixture
def network() -> SimulatedNetwork:
    return SimulatedNetwork()


@pytest.fixture
def host(engine: sa.Engine, tmp_path: Path, network: SimulatedNetwork) -> Host:
    return make_host(engine, tmp_path, network)


@pytest.fixture
def anchored(host: Host) -> Host:
    trust_the_anchor(host)
    return host


def refused(host: Host, change: Callable[[], object]) -> FederationError:
    """The refusal of a change, after which everything is as it was."""
    before = (host.files(), host.configuration.token, host.operating())
    with pytest.raises(FederationError) as refusal:
        change()
    assert (host.files(), host.configuration.token, host.operating()) == before
    host.check_whole()
    return refusal.value


# -- operating keys


def test_a_new_operating_key_signs_at_once_and_the_old_one_stays_a_week(host: Host) -> None:
    (old,) = host.operating()
    host.pass_time(DAY)
    new = host.rotate()
    assert host.operating() == [new, old]
    assert host.save() == new
    host.pass_time(OVERLAP - SECOND)
    host.renew()
    assert host.configuration.operating_keys.keys() == {old, new}
    host.pass_time(DAY)
    host.renew()
    assert host.configuration.operating_keys.keys() == {new}
    assert host.operating() == [new]
    assert host.files() == {"federation.pem", f"operating-{new}.pem"}
    host.check_whole()


def test_a_running_process_notices_nothing_but_the_new_key(host: Host) -> None:
    running = host.node
    held = running.identity  # read before the change, used after it
    new = host.rotate()
    assert running.identity.operating_key.kid == new
    host.revoke(held.operating_key.kid)
    with writing(host.engine) as session:
        change = PendingChange("member/late", "put", duty_officer())
        with pytest.raises(TokenError, match="rotate"):  # this identity has no other key
            publish(session, held, [change], host.now)
        both = replace(held, former_keys=running.identity.operating_keys)
        assert publish(session, both, [change], host.now).kid == new


def test_many_rotations_in_a_row_keep_the_order(host: Host) -> None:
    made = [host.rotate() for _ in range(5)]
    assert host.operating()[:5] == made[::-1]
    assert host.save() == made[-1]
    host.check_whole()


def test_more_keys_than_a_configuration_holds_are_refused(host: Host) -> None:
    for _ in range(31):
        host.rotate()
    assert refused(host, host.rotate).code == "conflict"


def test_another_host_keeps_its_key(host: Host, engine: sa.Engine, tmp_path: Path, network: SimulatedNetwork) -> None:
    """Two hosts on one database: each signs with its own key, and drops its own former ones only."""
    (tmp_path / "second").mkdir(mode=0o700)
    (tmp_path / "second" / "federation.pem").write_bytes((host.keys.path / "federation.pem").read_bytes())
    (tmp_path / "second" / "federation.pem").chmod(0o600)
    second = open_host(engine, tmp_path / "second", network)
    theirs = second.rotate()
    (ours,) = host.operating()
    host.pass_time(30 * DAY)
    second.now = host.now
    host.renew()
    assert host.configuration.operating_keys.keys() == {ours, theirs}
    assert (host.save(), second.node.identity.operating_key.kid) == (ours, theirs)
    newer = host.rotate()
    host.pass_time(8 * DAY)
    second.now = host.now
    host.renew()
    assert host.configuration.operating_keys.keys() == {newer, theirs}
    host.revoke(theirs)
    second.keys.look_again()  # it would by itself within a second
    with pytest.raises(KeyFileError, match="veza keys rotate"):
        second.keys.load()
    again = second.rotate()
    assert second.operating() == [again]
    assert host.configuration.operating_keys.keys() == {newer, again}


def test_a_key_file_that_nobody_listed_signs_nothing(host: Host) -> None:
    stray = generate_key()
    save_key(host.keys.path / f"operating-{stray.kid}.pem", stray)
    host.pass_time(DAY)
    host.renew()
    assert stray.kid not in host.configuration.operating_keys
    assert stray.kid not in host.operating()


@pytest.mark.parametrize("change", ["rotate", "rotate_federation", "revoke"])
def test_without_the_federation_key_nothing_changes(host: Host, change: str) -> None:
    host.rotate()
    (host.keys.path / "federation.pem").rename(host.keys.path.parent / "federation.pem")
    arguments = [host.operating()[0]] if change == "revoke" else []
    error = refused(host, lambda: getattr(host, change)(*arguments))
    assert isinstance(error, KeyFileError)
    assert "offline" in error.detail


def test_keys_are_encrypted_like_those_before(engine: sa.Engine, tmp_path: Path, network: SimulatedNetwork) -> None:
    host = make_host(engine, tmp_path, network, b"a long passphrase")
    host.rotate()
    host.rotate_federation()
    for path in host.keys.path.iterdir():
        assert "ENCRYPTED" in path.read_text()
        assert path.stat().st_mode & 0o777 == 0o600


# -- revoking an operating key


def test_revoking_the_only_operating_key_makes_a_new_one_and_signs_the_log_anew(host: Host) -> None:
    stolen = host.save()
    revocation = host.revoke(stolen)
    assert (revocation.use, [revocation.new_operating_key]) == ("operating", host.operating())
    assert host.configuration.operating_keys.keys() == set(host.operating())
    assert host.checkpoint_signer() == revocation.new_operating_key
    assert host.files() == {"federation.pem", f"operating-{revocation.new_operating_key}.pem"}
    host.check_whole()
    assert "removed before" in refused(host, lambda: host.revoke(stolen)).detail


def test_revoking_a_former_key_leaves_the_signing_one(host: Host) -> None:
    (old,) = host.operating()
    new = host.rotate()
    assert host.revoke(old).new_operating_key is None
    assert host.operating() == [new]
    host.check_whole()


def test_a_revoked_key_never_comes_back(host: Host) -> None:
    stolen = host.operating()[0]
    copy = (host.keys.path / f"operating-{stolen}.pem").read_bytes()
    held = host.keys.load()
    host.revoke(stolen)
    (host.keys.path / f"operating-{stolen}.pem").write_bytes(copy)  # from a backup of the key directory
    (host.keys.path / f"operating-{stolen}.pem").chmod(0o600)
    host.pass_time(DAY)
    with writing(host.engine) as session:
        renewed = renew_configuration(session, held, name="ME", now=host.now)
    assert stolen not in renewed.operating_keys
    assert stolen not in host.operating()
    assert f"operating-{stolen}.pem" not in host.files()


def test_a_renewal_that_began_before_a_revocation_does_not_bring_the_key_back(host: Host, database_url: str) -> None:
    """On another host, or in the worker: it waits for the revocation, and then lists what that left."""
    stolen, stays = host.rotate(), host.operating()[1]
    identity, other, began, done = host.keys.load(), make_engine(database_url), threading.Event(), threading.Event()

    def renew() -> None:
        began.set()
        with writing(other) as session:
            renew_configuration(session, identity, name="Montenegro", now=host.now)
        done.set()

    renewal = threading.Thread(target=renew)
    with writing(host.engine) as session:
        removed = KeyChanges(removed=frozenset({stolen}))
        renew_configuration(session, identity, name="Montenegro", now=host.now, changes=removed)
        renewal.start()
        began.wait(10)
        assert not done.wait(0.3)
    renewal.join(30)
    other.dispose()
    assert done.is_set()
    assert host.configuration.operating_keys.keys() == {stays}


def test_a_key_is_revoked_while_the_own_log_is_disputed(host: Host) -> None:
    """The log gets no new checkpoint then, but what the thief signs is refused all the same."""
    stolen = host.save()
    with writing(host.engine) as session:
        mark_disputed(session, "ME", "the other history")
    host.revoke(stolen)
    assert stolen not in host.configuration.operating_keys
    assert host.checkpoint_signer() == stolen


def test_the_log_is_signed_anew_as_soon_as_the_dispute_is_over(host: Host) -> None:
    """Its checkpoint's key was revoked meanwhile: no peer would have taken it until the next hour's."""
    stolen = host.operating()[0]
    with writing(host.engine) as session:
        mark_disputed(session, "ME", "offered")
    host.revoke(stolen)
    renew_own_checkpoint(host.node, host.now, None)
    assert host.checkpoint_signer() == stolen
    with writing(host.engine) as session:
        mark_disputed(session, "ME", None)
    renew_own_checkpoint(host.node, host.now, None)
    assert [host.checkpoint_signer()] == host.operating()


def test_an_unknown_key_is_not_revoked(host: Host) -> None:
    assert isinstance(refused(host, lambda: host.revoke("nothing of ours")), NotHeldError)


# -- the federation key


def test_without_an_anchor_the_new_federation_key_signs_at_once(host: Host) -> None:
    first = host.signer
    rotation = host.rotate_federation()
    assert (rotation.waits_for, host.signer) == (None, rotation.kid)
    assert host.configuration.federation_keys.keys() == {first, rotation.kid}
    host.pass_time(OVERLAP + DAY)
    host.renew()
    assert host.configuration.federation_keys.keys() == {rotation.kid}
    host.operating()
    assert {name for name in host.files() if name.startswith("federation")} == {"federation.pem"}
    host.pass_time(DAY)
    host.renew()
    host.check_whole()
    followed = follow_chain(
        host.chain(), start=host_keys(host), held=None, entity_id=ENTITY_ID, participant="ME", now=host.now
    )
    assert followed[-1] == host.configuration


def host_keys(host: Host) -> KeySet:
    """The federation key that the very first configuration lists."""
    with reading(host.engine) as session:
        return load_configurations(session, "ME")[0].federation_keys


def test_under_an_anchor_it_signs_once_the_anchor_vouches_for_it(anchored: Host) -> None:
    first = anchored.signer
    rotation = anchored.rotate_federation()
    assert "veza anchor enrol" in (rotation.waits_for or "")
    assert anchored.signer == first
    assert anchored.configuration.federation_keys.keys() == {first, rotation.kid}
    continue_federation_rotation(anchored.node, anchored.now, None)
    anchored.pass_time(30 * DAY)
    anchored.renew()
    assert (anchored.signer, len(anchored.configuration.federation_keys)) == (first, 2)  # however long it takes
    again = anchored.rotate_federation()
    assert (again.kid, again.waits_for is None) == (rotation.kid, False)
    anchored.network.anchor.enrolled[ENTITY_ID] = ("ME", anchored.configuration.federation_keys)
    continue_federation_rotation(anchored.node, anchored.now, None)
    assert anchored.signer == rotation.kid
    continue_federation_rotation(anchored.node, anchored.now, None)
    anchored.check_whole()


@pytest.mark.parametrize("how", ["silent", "listing nobody"])
def test_what_the_anchor_does_not_say(anchored: Host, how: str) -> None:
    """Its silence makes the rotation wait; a node that it does not vouch for is followed by peers alone."""
    if how == "silent":
        anchored.network.anchor.online = False
    else:
        anchored.network.anchor.not_found.add(ENTITY_ID)
    rotation = anchored.rotate_federation()
    assert (rotation.waits_for is None) == (how == "listing nobody")
    assert (anchored.signer == rotation.kid) == (how == "listing nobody")


def test_the_only_federation_key_is_not_revoked(host: Host) -> None:
    error = refused(host, lambda: host.revoke(host.signer))
    assert (error.code, "rotate --federation" in error.detail) == ("wrong_state", True)


@pytest.mark.parametrize("which", ["former", "present"])
def test_a_federation_key_is_revoked_when_another_is_there(host: Host, which: str) -> None:
    first = host.signer
    new = host.rotate_federation().kid
    revoked, stays = (first, new) if which == "former" else (new, first)
    host.revoke(revoked)
    assert host.configuration.federation_keys.keys() == {stays}
    assert (host.signer, len(host.files())) == (stays, 2)
    host.check_whole()
    host.pass_time(DAY)
    host.renew()
    assert host.signer == stays


def test_under_an_anchor_a_federation_key_is_revoked_once_another_is_vouched_for(anchored: Host) -> None:
    first = anchored.signer
    new = anchored.rotate_federation().kid
    error = refused(anchored, lambda: anchored.revoke(first))
    assert (error.code, "veza anchor enrol" in error.detail) == ("wrong_state", True)
    anchored.network.anchor.online = False
    assert "cannot be asked" in refused(anchored, lambda: anchored.revoke(first)).detail
    anchored.network.anchor.online = True
    anchored.network.anchor.enrolled[ENTITY_ID] = ("ME", anchored.configuration.federation_keys)
    anchored.revoke(first)
    assert (anchored.signer, list(anchored.configuration.federation_keys)) == (new, [new])


def test_a_successor_that_lies_elsewhere_is_asked_for(host: Host, network: SimulatedNetwork) -> None:
    trust_the_anchor(host)
    first, new = host.signer, host.rotate_federation().kid
    (host.keys.path / f"federation-{new}.pem").rename(host.keys.path.parent / "elsewhere.pem")
    assert isinstance(refused(host, lambda: host.revoke(first)), KeyFileError)
    assert "not here" in (host.rotate_federation().waits_for or "")
    host.revoke(new)  # what is not used yet can go without asking the anchor
    assert host.configuration.federation_keys.keys() == {first}


# -- a process that dies


CHANGES: dict[str, Callable[[Host], object]] = {
    "rotate": lambda host: host.rotate(),
    "rotate_federation": lambda host: host.rotate_federation(),
    "revoke": lambda host: host.revoke(host.operating()[0]),
    "revoke_federation": lambda host: host.revoke(host.signer),
}


class Killer:
    """Ends the process, as ``kill -9`` does, at the n-th of the steps that outlive it."""

    def __init__(self, steps: int) -> None:
        self._left = steps

    def step(self) -> None:
        self._left -= 1
        if self._left < 0:
            os._exit(9)

    def watch(self, patch: pytest.MonkeyPatch, engine: sa.Engine) -> None:
        for owner, name in ((os, "fsync"), (Path, "rename"), (Path, "unlink")):
            patch.setattr(owner, name, self._before(getattr(owner, name)))
        sa.event.listen(engine, "commit", lambda connection: self.step())

    def _before(self, real: Callable[..., object]) -> Callable[..., object]:
        def killed(*arguments: object, **options: object) -> object:
            self.step()
            return real(*arguments, **options)

        return killed


def die_after(steps: int, url: str, host: Host, change: str) -> bool:
    """Make the change in a process of its own that dies after so many steps; whether it did."""
    child = os.fork()
    if child == 0:
        try:
            engine = make_engine(url)
            with pytest.MonkeyPatch.context() as patch:
                Killer(steps).watch(patch, engine)
                CHANGES[change](open_host(engine, host.keys.path, host.network))
            os._exit(0)
        finally:
            os._exit(1)  # a failure of the change itself
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    assert code in (0, 9), code
    return code == 9


@pytest.mark.parametrize("change", list(CHANGES))
def test_a_killed_change_leaves_one_history(change: str, host: Host, database_url: str) -> None:
    if change == "revoke_federation":
        host.rotate_federation()
    steps = 0
    while die_after(steps, database_url, host, change):
        steps += 1
        found = open_host(host.engine, host.keys.path, host.network)
        found.keys.load()  # whoever looks next finishes
        found.check_whole()
        assert found.save() == found.operating()[0]
        if change == "revoke_federation" and len(found.configuration.federation_keys) == 1:
            found.rotate_federation()
    assert steps >= 3
    last = open_host(host.engine, host.keys.path, host.network)
    last.rotate()
    last.rotate_federation()
    last.revoke(last.operating()[-1])
    last.check_whole()
    assert (
        follow_chain(
            last.chain(), start=host_keys(host), held=None, entity_id=ENTITY_ID, participant="ME", now=last.now
        )[-1]
        == last.configuration
    )


@pytest.mark.parametrize("change", ["rotate", "revoke"])
def test_a_change_that_the_database_refuses_leaves_no_key(host: Host, change: str) -> None:
    before = (host.files(), host.operating(), host.configuration.token)

    def refuse(connection: sa.Connection) -> None:
        raise sa.exc.OperationalError("COMMIT", {}, Exception("disk I/O error"))

    sa.event.listen(host.engine, "commit", refuse)
    try:
        with pytest.raises(StorageError):
            CHANGES[change](host)
    finally:
        sa.event.remove(host.engine, "commit", refuse)
    assert (host.files(), host.operating(), host.configuration.token) == before
    host.check_whole()
