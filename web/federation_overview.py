"""The federation as this node sees it, with the keys that it signs with (interface.md, section 3)."""

import datetime as dt
from typing import Any

from sqlalchemy.orm import Session

from federation.disputes import load_disputes
from sync.federation_report import report
from web.dispute_facts import dispute_to_json
from web.held import Held
from web.peerings import key_json, peerings_json


def overview_json(session: Session, here: Held, now: dt.datetime) -> dict[str, Any]:
    """Every participant with the state of its log, this node's public keys with their fingerprints, and peerings."""
    identity = here.node.identity
    federation = identity.federation_key
    return {
        "participants": report(session, now),
        "keys": {
            "federation": None if federation is None else key_json(federation.kid),
            "operating": [key_json(key.kid) for key in identity.operating_keys],
        },
        "peerings": peerings_json(session, now),
        "disputes": [dispute_to_json(found) for found in load_disputes(session)],
    }
