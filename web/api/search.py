"""Text search as typed, in any script and spelling of the region."""

from typing import Any

from flask import Response

from web.api.operations import READS, answers, resource
from web.api.schemas import HitsSchema, SearchQuery
from web.held import held
from web.replies import tagged_reply

blueprint = resource("search", "Units, places and agencies, as typed")


@blueprint.operation("/search", answers(HitsSchema, "Hits, best first", READS), query=SearchQuery)
def search(query: dict[str, Any]) -> Response:
    """Units, places and agencies that a text as typed may mean."""
    found = held().directory.search(query["q"], query["limit"])
    hits = [{"kind": f.kind, "ref": f.ref, "names": dict(f.names), "participant": f.participant} for f in found]
    return tagged_reply({"items": hits})
