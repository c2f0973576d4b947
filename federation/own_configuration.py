"""This node's own configuration: which keys it lists, and signing it anew (protocol.md, sections 2 and 3).

The rules:

- A renewal lists what the stored configuration lists, so that no host of the node loses its key, and what is added.
- An operating key is dropped once a newer one of the same host has been listed for the overlap; a federation key once
  its successor has signed for the overlap. Both then verify nothing any more.
- A key that is to be the next federation key is listed first, signed by the present one, and signs only then: every
  follower finds each configuration signed by a key of the one before.
- A key that was removed does not come back: only keys that are stored as listed, or are new, are ever listed.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from federation.errors import FederationError, KeyFileError, TokenError
from federation.identity import Identity
from federation.keys import MAX_KEYS, KeySet, SigningKey, key_set
from federation.listed_keys import ListedKeys, load_listed, newest_first
from federation.log import load_head
from federation.own_node import check_own_log_compared, signing_instant
from federation.participants import load_configuration, store_configuration
from federation.statements import CONFIGURATION_LIFETIME, NodeConfiguration, make_configuration

OVERLAP = dt.timedelta(days=7)
"""How long a former key stays listed beside its successor."""


@dataclass(frozen=True, slots=True)
class KeyChanges:
    """What an operator wants changed with a renewal."""

    new_operating: SigningKey | None = None
    new_federation: SigningKey | None = None
    signer: str | None = None
    """The federation key that signs from now on; None for the one that signed last."""
    removed: frozenset[str] = frozenset()


NO_CHANGES = KeyChanges()


@dataclass(frozen=True, slots=True)
class KeyPlan:
    """The keys that a configuration is going to list."""

    federation: KeySet
    operating: KeySet


def superseded_operating(mine: Iterable[str], listed: ListedKeys, now: dt.datetime) -> frozenset[str]:
    """Of one host's operating keys those that have had a newer one beside them for the overlap."""
    known = [kid for kid in mine if kid in listed.operating]
    settled = [listed.operating[kid] for kid in known if listed.operating[kid] + OVERLAP <= now]
    newest = max(settled, default=None)
    return frozenset(kid for kid in known if newest is not None and listed.operating[kid] < newest)


def superseded_federation(listed: ListedKeys, now: dt.datetime) -> frozenset[str]:
    """The federation keys from before the one that signs, once that has signed for the overlap."""
    if listed.signer not in listed.federation or listed.signer_since + OVERLAP > now:
        return frozenset()
    signer_listed = listed.federation[listed.signer]
    return frozenset(kid for kid, since in listed.federation.items() if since < signer_listed)


def next_federation_key(listed: ListedKeys) -> str | None:
    """The federation key that is listed and shall sign from the next step of its rotation on; None without one."""
    newest = newest_first(listed.federation)[0]
    listed_before = listed.signer not in listed.federation or (
        listed.federation[newest] > listed.federation[listed.signer]
    )
    return newest if newest != listed.signer and listed_before else None


def plan_keys(
    held: NodeConfiguration | None,
    listed: ListedKeys | None,
    identity: Identity,
    now: dt.datetime,
    changes: KeyChanges = NO_CHANGES,
) -> KeyPlan:
    """What the next configuration lists; FederationError ``conflict`` where it would list too many keys of one kind."""
    if held is None or listed is None:
        federation = key_set(*_present(identity.federation_key))
        operating = key_set(*identity.operating_keys)
        dropped: frozenset[str] = frozenset()
    else:
        federation, operating = held.federation_keys, held.operating_keys
        mine = [key.kid for key in identity.operating_keys]
        dropped = superseded_operating(mine, listed, now) | superseded_federation(listed, now)
    removed = dropped | changes.removed
    return KeyPlan(
        _changed(federation, removed, changes.new_federation, "federation"),
        _changed(operating, removed, changes.new_operating, "operating"),
    )


def _present(key: SigningKey | None) -> Sequence[SigningKey]:
    return () if key is None else (key,)


def _changed(keys: KeySet, removed: frozenset[str], new: SigningKey | None, use: str) -> KeySet:
    planned = {kid: key for kid, key in keys.items() if kid not in removed}
    planned.update(key_set(*_present(new)))
    if len(planned) > MAX_KEYS:
        raise FederationError(
            "conflict",
            f"expected at most {MAX_KEYS} {use} keys, this would be one more: `veza keys revoke` removes former ones",
        )
    return planned


def renew_configuration(
    session: Session,
    identity: Identity,
    *,
    name: str,
    now: dt.datetime,
    contacts: Sequence[str] = (),
    authority_hints: Sequence[str] = (),
    readers: Sequence[str] = (),
    changes: KeyChanges = NO_CHANGES,
    lifetime: dt.timedelta = CONFIGURATION_LIFETIME,
) -> NodeConfiguration:
    """Sign and store this node's configuration; its ``iat`` is at least 1 s above the last one's.

    Raises KeyFileError where the federation key is kept offline or no follower would accept it, FederationError
    ``busy`` while peers may hold a newer one, ClockError where the clock cannot be right.
    """
    check_own_log_compared(session)
    lock_own_configuration(session, identity.participant)
    held = load_configuration(session, identity.participant)
    last_issued_at = None if held is None else held.issued_at
    at = signing_instant(session, now, last_issued_at)
    signer = _find_signer(identity, held, changes)
    plan = plan_keys(held, load_listed(session, identity.participant), identity, at, changes)
    configuration = make_configuration(
        replace(identity, federation_key=signer, listed_operating=plan.operating),
        now=at,
        name=name,
        contacts=contacts,
        authority_hints=authority_hints,
        readers=readers,
        other_federation_keys=plan.federation,
        lifetime=lifetime,
        not_before=last_issued_at,
    )
    store_configuration(session, configuration)
    return configuration


def lock_own_configuration(session: Session, participant: str) -> None:
    """Let others who sign the own configuration wait until this transaction ends.

    Else a renewal that began before a key was removed could end after it and list the key again.
    """
    load_head(session, participant, for_update=True)


def _find_signer(identity: Identity, held: NodeConfiguration | None, changes: KeyChanges) -> SigningKey:
    """The key that signs, by what is stored now: the identity may have been read before another process changed it."""
    here = {key.kid: key for key in (*identity.other_federation_keys, *_present(identity.federation_key))}
    expected = changes.signer or (next(iter(here), "") if held is None else held.kid)
    if expected not in here:
        raise KeyFileError(
            f"expected the federation key {expected} that signs the configuration, found none: where it is kept "
            "offline, put its file into the key directory for this command"
        )
    if held is not None and expected not in held.federation_keys:
        raise KeyFileError(f"expected a federation key that the stored configuration lists, found {expected}")
    return here[expected]


def listed_identity(session: Session, identity: Identity) -> Identity:
    """The identity with an operating key that the configuration stored now lists, for what is signed in this session.

    A key may have been rotated or removed since the identity was read. TokenError ``unknown_key`` where none is left.
    """
    configuration = load_configuration(session, identity.participant)
    if configuration is None or identity.operating_key.kid in configuration.operating_keys:
        return identity
    listed = [key for key in identity.former_keys if key.kid in configuration.operating_keys]
    if not listed:
        raise TokenError(
            "unknown_key",
            f"the own configuration does not list the operating key {identity.operating_key.kid}: "
            f"run `veza keys rotate` on this host",
        )
    return replace(identity, operating_key=listed[0], former_keys=tuple(listed[1:]))
