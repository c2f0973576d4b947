"""Whom to ask, and who is on duty: the hot path (performance.md)."""

import time
from typing import Any

from flask import Response, request

from directory.answers import to_json
from directory.duty import who_is_on_duty
from directory.lookup import lookup, parse_query
from web.api.operations import FINDS, READS, answers, resource
from web.api.schemas import AnswerSchema, LookupQuery, OnDutyQuery, OnDutySchema
from web.authentication import asked_at
from web.held import held
from web.metrics import LOOKUP_SECONDS
from web.parameters import query_fields
from web.replies import json_reply, tagged_reply

blueprint = resource("lookup", "Whom to ask: ranked and explained; who is on duty")
_LOOKUP_DOC = answers(
    AnswerSchema,
    "The ranked answer, with reasons and what was rejected",
    READS,
    tagged=False,
    parameters=[{"in": "query", "schema": LookupQuery}],
)


@blueprint.operation("/lookup", _LOOKUP_DOC)
def look_up() -> Response:
    """The ranked, explained answer to one question."""
    began = time.perf_counter()
    here = held()
    query = parse_query(query_fields(request.args), here.directory, asked_at(), here.config.participant)
    answer = to_json(lookup(query, here.directory, here.policy, here.facts))
    response = json_reply(answer)
    LOOKUP_SECONDS.observe(time.perf_counter() - began)
    return response


@blueprint.operation(
    "/on-duty", answers(OnDutySchema, "A member, or a gap with the next contact", FINDS), query=OnDutyQuery
)
def show_duty(query: dict[str, Any]) -> Response:
    """Who is on duty at a unit."""
    return tagged_reply(who_is_on_duty(held().directory, query["unit"], query["at"] or asked_at()))
