"""The readiness report with what only the node itself knows about its own keys (directory.md, section 6)."""

import datetime as dt
from typing import Any

from directory.readiness import NOTHING_KNOWN, NodeFacts, report
from federation.identity import FEDERATION_FILE
from web.held import Held


def readiness_json(here: Held, code: str, now: dt.datetime) -> dict[str, Any]:
    """The report of a participant; NotFoundError where it is not in the directory."""
    facts = _own_facts(here) if code == here.config.participant else NOTHING_KNOWN
    return {"participant": code, "items": report(here.directory, code, now, here.policy, facts)}


def _own_facts(here: Held) -> NodeFacts:
    """The age of the keys in use, as far as they lie here: a federation key may be kept offline."""
    keys = here.config.keys_dir
    current = here.node.identity.operating_key.kid
    files = [path for path in (keys / FEDERATION_FILE, keys / f"operating-{current}.pem") if path.exists()]
    made = [dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC) for path in files]
    return NodeFacts(oldest_key_at=min(made, default=None))
