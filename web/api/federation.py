"""The federation as seen from here: who is followed, how fresh, with what result."""

from flask import Response

from web.api.operations import READS, answers, resource
from web.api.schemas import FederationSchema
from web.authentication import asked_at
from web.extensions import db
from web.federation_overview import overview_json
from web.held import held
from web.replies import tagged_reply

blueprint = resource("federation", "Participants, freshness, last sync results, keys, disputes")


@blueprint.operation("/federation", answers(FederationSchema, "Every participant, and this node's keys", READS))
def show_federation() -> Response:
    """Every participant with the state of its log."""
    return tagged_reply(overview_json(db.session(), held(), asked_at()))
