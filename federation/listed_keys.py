"""Which keys a participant's stored configurations list, since when, and which they listed once.

Read from the tokens as they are stored, without proving them again, so that years of daily configurations cost
milliseconds.
"""

import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import Session

from federation.clock import from_timestamp
from federation.encoding import b64url_decode
from federation.keys import thumbprint
from federation.signing import read_kid
from federation.tables import ConfigurationRow

Since = Mapping[str, dt.datetime]
"""Keys by name, each with the ``iat`` of the first configuration that has it."""


@dataclass(frozen=True, slots=True)
class ListedKeys:
    """What the newest configuration lists, and what is known from those before it."""

    token: str
    """The newest configuration."""
    signer: str
    """The federation key that signed it."""
    signer_since: dt.datetime
    """When that key first signed one."""
    federation: Since
    operating: Since
    former: frozenset[str]
    """Keys that an earlier configuration lists and the newest does not: dropped or revoked."""

    def lists(self, kid: str) -> bool:
        """Whether the newest configuration lists the key, for whatever use."""
        return kid in self.federation or kid in self.operating


@dataclass(slots=True)
class _History:
    """What was read so far, oldest configuration first."""

    federation: dict[str, dt.datetime] = field(default_factory=dict)
    operating: dict[str, dt.datetime] = field(default_factory=dict)
    signers: dict[str, dt.datetime] = field(default_factory=dict)


def read_listed(tokens: Sequence[str]) -> ListedKeys | None:
    """What a participant's stored configurations, oldest first, list; None where there are none."""
    if not tokens:
        return None
    history = _History()
    for token in tokens:
        federation, operating = _read(token, history)
    newest = tokens[-1]
    listed = {*federation, *operating}
    return ListedKeys(
        token=newest,
        signer=read_kid(newest),
        signer_since=history.signers[read_kid(newest)],
        federation={kid: history.federation[kid] for kid in federation},
        operating={kid: history.operating[kid] for kid in operating},
        former=frozenset({*history.federation, *history.operating} - listed),
    )


def load_listed(session: Session, participant: str, known: ListedKeys | None = None) -> ListedKeys | None:
    """What the stored configurations of a participant list; ``known`` as it is where no newer one was stored."""
    mine = ConfigurationRow.participant == participant
    order = ConfigurationRow.issued_at
    newest = session.execute(sa.select(ConfigurationRow.token).where(mine).order_by(order.desc()).limit(1))
    if known is not None and newest.scalar_one_or_none() == known.token:
        return known
    return read_listed(session.execute(sa.select(ConfigurationRow.token).where(mine).order_by(order)).scalars().all())


def read_link(token: str) -> tuple[str, frozenset[str]]:
    """The entity identifier that a stored configuration speaks for, and the federation keys that it lists."""
    claims = _claims(token)
    return str(claims["iss"]), frozenset(_kids(claims["jwks"]))


def newest_first(since: Since) -> list[str]:
    """The keys, the one that was listed last first."""
    return sorted(since, key=lambda kid: (since[kid], kid), reverse=True)


def _read(token: str, history: _History) -> tuple[list[str], list[str]]:
    """Note a configuration's keys; its federation and its operating ones."""
    claims = _claims(token)
    issued_at = from_timestamp(claims["iat"])
    federation, operating = _kids(claims["jwks"]), _kids(claims["metadata"]["veza_node"]["jwks"])
    _note(history.federation, federation, issued_at)
    _note(history.operating, operating, issued_at)
    _note(history.signers, [read_kid(token)], issued_at)
    return federation, operating


def _note(since: dict[str, dt.datetime], kids: Iterable[str], issued_at: dt.datetime) -> None:
    for kid in kids:
        since.setdefault(kid, issued_at)


def _kids(jwks: Any) -> list[str]:  # noqa: ANN401  # a JWKS that was checked before it was stored
    return [key.get("kid") or thumbprint(key) for key in jwks["keys"]]


def _claims(token: str) -> Any:  # noqa: ANN401  # JSON that was checked before it was stored
    return json.loads(b64url_decode(token.split(".")[1]))
