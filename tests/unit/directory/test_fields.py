"""The field that applies a rule, inside a marshmallow schema."""

from typing import Any

import pytest
from marshmallow import Schema, ValidationError

from directory.errors import Fault
from directory.fields import nullable, optional, required
from directory.value_rules import phone, slug


class _Schema(Schema):
    must = required(slug)
    may = optional(slug)
    none = nullable(phone)
    from_ = required(slug, key="from")


def test_values_come_back_in_normal_form_under_their_own_names() -> None:
    loaded = _Schema().load({"must": "a", "none": "+382 20 123", "from": "b"})
    assert loaded == {"must": "a", "none": "+38220123", "from": "b"}
    assert _Schema().load({"must": "a", "none": None, "from": "b"})["none"] is None


@pytest.mark.parametrize(
    ("data", "messages"),
    [
        ({"from": "b"}, {"must": ["expected a value: this member is required"]}),
        ({"must": "a"}, {"from": ["expected a value: this member is required"]}),
        ({"must": None, "from": "b"}, {"must": ["expected a value other than null"]}),
        ({"must": "a", "from": "b", "may": None}, {"may": ["expected a value other than null"]}),
    ],
)
def test_missing_and_null_values_are_refused(data: dict[str, Any], messages: dict[str, list[str]]) -> None:
    with pytest.raises(ValidationError) as caught:
        _Schema().load(data)
    assert caught.value.messages == messages


def test_the_faults_of_a_rule_are_the_messages_of_its_field() -> None:
    with pytest.raises(ValidationError) as caught:
        _Schema().load({"must": "NO", "from": "b"})
    [fault] = caught.value.messages_dict["must"]
    assert isinstance(fault, Fault)
    assert (fault.place, fault.found) == ("", "NO")
