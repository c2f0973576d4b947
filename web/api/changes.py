"""What changed in any held log, entry by entry: feeds a case-management system."""

from typing import Any

from flask import Response

from web.api.operations import FINDS, answers, resource
from web.api.schemas import ChangesQuery, ChangesSchema
from web.change_answers import changes_json
from web.extensions import db
from web.held import held
from web.replies import tagged_reply

blueprint = resource("changes", "What changed in any held log")


@blueprint.operation("/changes", answers(ChangesSchema, "Entries from `since` on", FINDS), query=ChangesQuery)
def list_changes(query: dict[str, Any]) -> Response:
    """Entries of a log from a number on."""
    participant = query["participant"] or held().config.participant
    return tagged_reply(changes_json(db.session(), participant, query["since"], query["limit"]))
