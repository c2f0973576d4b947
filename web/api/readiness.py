"""How ready a participant is (directory.md, section 6)."""

from flask import Response

from web.api.operations import FINDS, answers, resource
from web.api.schemas import ReadinessSchema
from web.authentication import asked_at
from web.held import held
from web.readiness_answers import readiness_json
from web.replies import tagged_reply

blueprint = resource("readiness", "What the region agreed that every participant works towards")


@blueprint.operation("/readiness/<code>", answers(ReadinessSchema, "One row per criterion", FINDS))
def show_readiness(code: str) -> Response:
    """The readiness report of a participant."""
    return tagged_reply(readiness_json(held(), code, asked_at()))
