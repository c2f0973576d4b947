"""What requests carry, as values: the fields of a question, and JSON bodies."""

from typing import Any

from werkzeug.datastructures import MultiDict

from federation.encoding import parse_json
from federation.errors import FederationError


def query_fields(parameters: MultiDict[str, str]) -> dict[str, object]:
    """The fields of a question as given: a text, or a list where a parameter stands several times."""
    return {name: values[0] if len(values) == 1 else values for name, values in parameters.lists()}


def json_object(body: bytes) -> dict[str, Any]:
    """A JSON object, strictly read: duplicate members, NaN and the like are ``malformed``."""
    value = parse_json(body, "the body")
    if not isinstance(value, dict):
        raise FederationError("malformed", "the body: expected a JSON object")
    return value
