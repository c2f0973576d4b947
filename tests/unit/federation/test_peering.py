"""What a message of peering carries, and how a proposal of this node stands: the rules without a database."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest

from federation.errors import FederationError
from federation.mailbox import SentMessage
from federation.peering import make_body, proposal_state, read_introduction
from federation.statements import make_configuration
from tests.unit.federation.samples import NOW, SECOND, altered, identity, key

BG = identity("BG")
CONFIGURATION = make_configuration(BG, now=NOW)
BODY = make_body(CONFIGURATION)


def test_a_body_introduces_the_node_that_it_speaks_for() -> None:
    assert {"participant": "BG", "configuration": CONFIGURATION.token} == BODY
    assert read_introduction(BODY, BG.entity_id, NOW) == CONFIGURATION


def test_a_configuration_is_signed_by_itself_or_by_nobody() -> None:
    forged = altered(CONFIGURATION.token, key("bg operating"))
    with pytest.raises(FederationError) as refused:
        read_introduction(BODY | {"configuration": forged}, BG.entity_id, NOW)
    assert refused.value.code == "unknown_key"


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "bad_request"),
        ({"participant": "BG"}, "bad_request"),
        ({"configuration": CONFIGURATION.token}, "bad_request"),
        (BODY | {"note": ""}, "bad_request"),
        (BODY | {"participant": None}, "bad_request"),
        (BODY | {"participant": "bg"}, "bad_request"),
        (BODY | {"participant": "B" * 100_000}, "bad_request"),
        (BODY | {"configuration": []}, "bad_request"),
        (BODY | {"configuration": "é"}, "bad_request"),
        (BODY | {"configuration": ""}, "malformed"),
        (BODY | {"configuration": "a" * 70_000}, "too_large"),
        (BODY | {"participant": "ME"}, "wrong_participant"),
        (BODY | {"configuration": make_configuration(identity("ME"), now=NOW).token}, "wrong_issuer"),
        (BODY | {"configuration": make_configuration(BG, now=NOW - dt.timedelta(days=8)).token}, "expired"),
        (BODY | {"configuration": make_configuration(BG, now=NOW + 301 * SECOND).token}, "not_yet_valid"),
    ],
)
def test_any_other_body_is_refused(body: dict[str, Any], code: str) -> None:
    with pytest.raises(FederationError) as refused:
        read_introduction(body, BG.entity_id, NOW)
    assert refused.value.code == code
    assert len(refused.value.detail) <= 500


def test_plain_http_introduces_nobody_but_where_it_is_allowed() -> None:
    plain = replace(BG, entity_id="http://spoc.example.bg")
    body = make_body(make_configuration(plain, now=NOW))
    assert read_introduction(body, plain.entity_id, NOW, insecure_urls=True).entity_id == plain.entity_id
    with pytest.raises(FederationError) as refused:
        read_introduction(body, plain.entity_id, NOW)
    assert refused.value.code == "insecure_url"


@pytest.mark.parametrize(
    ("state", "answer", "shown"),
    [
        ("waiting", None, "waiting"),
        ("delivered", None, "delivered"),
        ("undeliverable", None, "undeliverable"),
        ("waiting", "approved", "approved"),
        ("delivered", "refused", "refused"),
    ],
)
def test_an_answer_says_more_than_a_delivery(state: Any, answer: str | None, shown: str) -> None:
    sent = SentMessage(
        "jti", BG.entity_id, "BG", "", "peering.proposed", {}, NOW, (), 1, None, state, None, None, answer
    )
    assert proposal_state(sent) == shown
