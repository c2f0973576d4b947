"""Where other nodes post messages (protocol.md, section 8)."""

from flask import Blueprint, Response, request

from federation.errors import FederationError
from federation.signing import MESSAGE
from sync.message_inbox import receive_message
from sync.transport import JWT
from web.errors import RateLimitedError
from web.held import held

blueprint = Blueprint("messages", __name__)
RETRY_AFTER = 600
"""Seconds after which a node that was refused for too many proposals may try again."""


@blueprint.post("/federation/v1/messages")
def take_message() -> Response:
    """A message of another node; the answer is this node's receipt for it."""
    request.max_content_length = MESSAGE.max_bytes + 1  # a body that does not say how long it is ends there, too long
    here = held()
    token = request.get_data(cache=False)
    try:
        receipt = receive_message(here.node, token, here.clock())
    except FederationError as error:
        if error.code == "rate_limited":
            raise RateLimitedError(error.detail, RETRY_AFTER) from error
        raise
    return Response(receipt, content_type=JWT)
