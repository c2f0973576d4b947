"""Changing this node's keys: rotation and revocation (protocol.md, sections 2 and 3; ``veza keys``).

Each change is one transaction with the configuration that says so, and the private files follow it
(``federation.key_directory``): a process that dies at any point leaves one history, and the next look finishes.

A federation key changes in two steps. The first lists the new key, signed by the present one. The second is signed by
the new one: at once where no anchor is trusted, because every follower finds the new key listed; under an anchor once
its statement about this node has the new key, because followers take no other there.
"""

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy.orm import Session

from directory.database import reading
from federation.errors import FederationError, KeyFileError, NotHeldError
from federation.identity import Identity
from federation.key_directory import KeyDirectory
from federation.keys import SigningKey
from federation.listed_keys import ListedKeys, load_listed
from federation.own_configuration import KeyChanges, lock_own_configuration, next_federation_key
from federation.trusted_anchor import TrustedAnchor, load_anchor
from sync.errors import SyncError
from sync.lease import Fence, check_epoch
from sync.node import Node
from sync.own_configuration import sign_configuration
from sync.refresh import ask_about_own_node
from sync.run import Run
from sync.storing import store

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class FederationRotation:
    """How far the rotation of the federation key is."""

    kid: str
    """The new key."""
    waits_for: str | None
    """Why it is listed and does not sign yet, and what to do; None where it signs."""


@dataclass(frozen=True, slots=True)
class Revocation:
    """A key that verifies nothing any more, at whoever has the newest configuration."""

    kid: str
    use: Literal["operating", "federation"]
    new_operating_key: str | None
    """The key that was made because the revoked one was the only one on this host."""


def rotate_operating_key(node: Node, keys: KeyDirectory, now: dt.datetime) -> str:
    """Make an operating key that signs from now on in every process of this host; its ``kid``.

    The present one stays listed for the overlap. Raises KeyFileError where the federation key is kept offline.
    """
    with keys.changing():
        _check_can_sign(keys)
        new = keys.stage_operating_key()
        identity = keys.identity_with(new, *keys.keys().operating_keys)
        _sign(node, identity, now, KeyChanges(new_operating=new))
    return new.kid


def rotate_federation_key(node: Node, keys: KeyDirectory, now: dt.datetime) -> FederationRotation:
    """Begin a rotation of the federation key, or go on with one that was begun, as far as it can go now."""
    with keys.changing():
        listed = _load_listed(node)
        kid = next_federation_key(listed)
        if kid is None:
            _check_can_sign(keys)
            new = keys.stage_federation_key()
            _sign(node, keys.load(), now, KeyChanges(new_federation=new))
            kid = new.kid
    return FederationRotation(kid, finish_federation_rotation(node, now))


def continue_federation_rotation(node: Node, now: dt.datetime, fence: Fence | None) -> None:
    """The worker's part: sign with the next federation key as soon as the anchor vouches for it."""
    if not node.identity.other_federation_keys:
        return
    waits_for = finish_federation_rotation(node, now, fence)
    if waits_for is not None:
        _LOG.info("the rotation of the federation key waits: %s", waits_for)


def finish_federation_rotation(node: Node, now: dt.datetime, fence: Fence | None = None) -> str | None:
    """Sign with the federation key that is listed as the next one; why that cannot be yet, None where nothing is left.

    The new key signs configurations from then on; the former one is dropped after the overlap.
    """
    kid = next_federation_key(_load_listed(node))
    if kid is None:
        return None
    if kid not in [key.kid for key in node.identity.other_federation_keys]:
        return f"the file of the federation key {kid} is not here: run this where it lies, or revoke it"
    why_not = _why_not_vouched(Run(node, now, fence), kid)
    if why_not is not None:
        return why_not

    def sign(session: Session) -> None:
        check_epoch(session, fence)
        lock_own_configuration(session, node.participant)
        listed = load_listed(session, node.participant)
        if listed is not None and next_federation_key(listed) == kid:  # else another process was first
            sign_configuration(session, node, node.identity, now, KeyChanges(signer=kid))

    store(node.engine, sign)
    return None


def revoke_key(node: Node, keys: KeyDirectory, kid: str, now: dt.datetime) -> Revocation:
    """Remove a key from the configuration and its file from this host; the caller tells the peers.

    Raises NotHeldError for a key that is not listed, FederationError ``wrong_state`` for a federation key that cannot
    be spared yet, KeyFileError where the key that must sign is kept offline; the detail says what to do first.
    """
    with keys.changing():
        listed = _load_listed(node)
        if kid in listed.operating:
            return _revoke_operating(node, keys, kid, now)
        if kid in listed.federation:
            return _revoke_federation(node, keys, listed, kid, now)
        when = "any more: it was removed before" if kid in listed.former else "by this node's configuration"
        raise NotHeldError(f"the key {kid} is not listed {when}; `veza keys list` shows those that are")


def _revoke_operating(node: Node, keys: KeyDirectory, kid: str, now: dt.datetime) -> Revocation:
    _check_can_sign(keys)
    remaining: Sequence[SigningKey] = [key for key in keys.keys().operating_keys if key.kid != kid]
    new = None if remaining else keys.stage_operating_key()
    identity = keys.identity_with(*((new,) if new is not None else remaining))
    _sign(node, identity, now, KeyChanges(new_operating=new, removed=frozenset({kid})))
    return Revocation(kid, "operating", None if new is None else new.kid)


def _revoke_federation(node: Node, keys: KeyDirectory, listed: ListedKeys, kid: str, now: dt.datetime) -> Revocation:
    identity, signer = keys.load(), None
    if kid == listed.signer:
        signer = _find_successor(Run(node, now), identity, listed, kid)
    else:
        _check_can_sign(keys)
    _sign(node, identity, now, KeyChanges(signer=signer, removed=frozenset({kid})))
    return Revocation(kid, "federation", None)


def _find_successor(run: Run, identity: Identity, listed: ListedKeys, kid: str) -> str:
    """Another federation key that can sign in place of ``kid``, at once and for every follower."""
    if len(listed.federation) == 1:
        raise FederationError(
            "wrong_state",
            f"{kid} is the only federation key: run `veza keys rotate --federation` first, then revoke it",
        )
    if not identity.other_federation_keys:
        raise KeyFileError("the other federation key that is listed is not here: put its file into the key directory")
    refusals = []
    for key in identity.other_federation_keys:
        why_not = _why_not_vouched(run, key.kid)
        if why_not is None:
            return key.kid
        refusals.append(why_not)
    raise FederationError("wrong_state", f"{kid} cannot be revoked yet: {refusals[0]}")


def _why_not_vouched(run: Run, kid: str) -> str | None:
    """Why followers would not take a configuration signed by this key yet, and what to do; None where they would."""
    with reading(run.node.engine) as session:
        anchor = load_anchor(session)
    if anchor is None:
        return None
    try:
        statement = ask_about_own_node(run, anchor)
    except (SyncError, FederationError) as error:
        return f"the anchor {anchor.entity_id} cannot be asked whether it vouches for the key {kid}: {error.detail}"
    if statement is None or kid in statement.federation_keys:
        return None  # whom an anchor does not vouch for, nobody follows by its word
    return _advice(run, anchor, kid)


def _advice(run: Run, anchor: TrustedAnchor, kid: str) -> str:
    identity = run.node.identity
    return (
        f"the anchor {anchor.entity_id} does not vouch for the new key {kid} yet: ask its operator to run `veza anchor "
        f"enrol {identity.entity_id} --participant {identity.participant}` again"
    )


def _check_can_sign(keys: KeyDirectory) -> None:
    if keys.keys().federation_key is None:
        raise KeyFileError(
            f"{keys.path}: expected the federation key that signs the configuration, found none: where it is kept "
            "offline, put its file there for this command"
        )


def _load_listed(node: Node) -> ListedKeys:
    with reading(node.engine) as session:
        listed = load_listed(session, node.participant)
    if listed is None:
        raise NotHeldError("this node has no configuration yet: run veza init first")
    return listed


def _sign(node: Node, identity: Identity, now: dt.datetime, changes: KeyChanges) -> None:
    store(node.engine, lambda session: sign_configuration(session, node, identity, now, changes))
