"""The marshmallow field of every member of a record: it applies one rule and keeps what the rule says."""

from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields

from directory.errors import InvalidInputError
from directory.value_rules import Rule

_ERROR_MESSAGES: dict[str, str | list[Any] | dict[Any, Any]] = {
    "required": "expected a value: this member is required",
    "null": "expected a value other than null",
}


class Ruled(fields.Field[object]):
    """A member whose value must satisfy a rule; the faults of a refusal become the field's messages."""

    def __init__(self, rule: Rule, *, required: bool = False, allow_none: bool = False, key: str | None = None) -> None:
        super().__init__(
            required=required, allow_none=allow_none, data_key=key, attribute=key, error_messages=_ERROR_MESSAGES
        )
        self.rule = rule

    def _deserialize(self, value: object, attr: str | None, data: Mapping[str, Any] | None, **kwargs: object) -> object:
        try:
            return self.rule(value)
        except InvalidInputError as error:
            raise ValidationError([*error.faults]) from error

    def _validate(self, value: object) -> None:
        """Nothing beside the rule."""


def required(rule: Rule, key: str | None = None) -> Ruled:
    """Make a field for a member that must be there; ``key`` is its name where Python reserves that word."""
    return Ruled(rule, required=True, key=key)


def optional(rule: Rule) -> Ruled:
    """Make a field for a member that may be left out, but not be null."""
    return Ruled(rule)


def nullable(rule: Rule) -> Ruled:
    """Make a field for a member that may be left out or null, which mean the same."""
    return Ruled(rule, allow_none=True)
