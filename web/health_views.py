"""What monitoring asks: is the process there, can the node work, how is it doing."""

import orjson
import sqlalchemy as sa
from flask import Blueprint, Response
from prometheus_client import CONTENT_TYPE_LATEST

from sync.instance import load_instance
from web.extensions import db
from web.health import readiness_checks
from web.held import held
from web.metrics import exposition
from web.replies import json_reply

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process answers, with the newest instance of its database (protocol.md, section 5); ``no-store``."""
    return json_reply({"status": "ok", "participant": held().config.participant, "instance": _instance()})


def _instance() -> str | None:
    """The newest value; None where the database cannot say, as the process answers all the same."""
    try:
        return load_instance(db.session())
    except sa.exc.OperationalError:
        return None


@blueprint.get("/readyz")
def readyz() -> Response:
    """The node can do its work, or 503 with what is missing."""
    here = held()
    checks = readiness_checks(db.session(), here.config.participant, here.clock())
    ready = all(check.passed for check in checks)
    body = {"ready": ready, "checks": {check.name: {"ok": check.passed, "detail": check.detail} for check in checks}}
    return Response(orjson.dumps(body), 200 if ready else 503, content_type="application/json")


@blueprint.get("/metrics")
def metrics() -> Response:
    """Measures for Prometheus."""
    return Response(exposition(db.session(), held().clock()), content_type=CONTENT_TYPE_LATEST)
