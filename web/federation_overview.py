"""The federation as this node sees it, with the keys that it signs with (interface.md, section 3)."""

import datetime as dt
from typing import Any

from sqlalchemy.orm import Session

from federation.keys import fingerprint
from sync.federation_report import report
from web.held import Held


def overview_json(session: Session, here: Held, now: dt.datetime) -> dict[str, Any]:
    """Every participant with the state of its log, and this node's public keys with their fingerprints."""
    identity = here.node.identity
    federation = identity.federation_key
    return {
        "participants": report(session, now),
        "keys": {
            "federation": None if federation is None else _key_json(federation.kid),
            "operating": [_key_json(key.kid) for key in identity.operating_keys],
        },
    }


def _key_json(kid: str) -> dict[str, str]:
    return {"kid": kid, "fingerprint": fingerprint(kid)}
