"""Who is trusted: bindings, configurations, chains, anchors and readers in the database."""

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.orm import Session

from directory.database import reading, writing
from directory.store import read_counters
from federation.anchor import enrol, fetch_statement, list_enrolled, list_subordinates, unenrol
from federation.errors import FederationError, LogIntegrityError, NotHeldError, TokenError, TrustError
from federation.identity import Identity
from federation.keys import jwks_of, key_set, parse_jwks
from federation.participants import (
    Trust,
    bind_participant,
    configurations_chain,
    end_trust,
    key_warnings,
    load_by_entity,
    load_configuration,
    load_configurations,
    load_participant,
    load_participants,
    shared_operating_keys,
    store_configuration,
)
from federation.read_tokens import (
    check_may_read_entries,
    load_reader_keys,
    make_read_token,
    verify_read_token,
)
from federation.statements import (
    NodeConfiguration,
    make_configuration,
    verify_configuration,
    verify_subordinate_statement,
)
from federation.trust import follow_chain
from federation.trusted_anchor import load_anchor, trust_anchor
from tests.unit.federation.samples import ANCHOR, DAY, NOW, SECOND, altered, identity, key

ME, RS, MK = identity("ME"), identity("RS"), identity("MK")


def keys_of(node: Identity) -> Any:
    assert node.federation_key is not None
    return key_set(node.federation_key)


def bind(session: Session, node: Identity, trust: Trust = "anchor", **options: Any) -> None:
    bind_participant(session, node.participant, node.entity_id, trust, keys_of(node), **options)


def configure(node: Identity, after: float = 0, **options: Any) -> NodeConfiguration:
    return make_configuration(node, now=NOW + dt.timedelta(seconds=after), **options)


def test_a_bound_node_is_found_by_code_and_identifier(engine: sa.Engine) -> None:
    with writing(engine) as session:
        bind(session, RS, "peering", allowed_networks=["10.0.0.0/8"])
        store_configuration(session, configure(RS))
        bind(session, ME, "own")
    with reading(engine) as session:
        node = load_participant(session, "RS")
        assert node is not None
        assert node == load_by_entity(session, RS.entity_id)
        assert (node.trust, node.configuration) == ("peering", configure(RS))
        assert node.federation_keys.keys() == keys_of(RS).keys()
        assert node.operating_keys.keys() == {RS.operating_key.kid}
        assert [str(network) for network in node.allowed_networks] == ["10.0.0.0/8"]
        assert [node.participant for node in load_participants(session)] == ["ME", "RS"]
        assert load_participant(session, "MK") is None
        assert load_by_entity(session, MK.entity_id) is None


def test_trust_is_renewed_and_keeps_what_the_operator_allowed(engine: sa.Engine) -> None:
    with writing(engine) as session:
        bind(session, RS, "peering", allowed_networks=["10.0.0.0/8"])
        bind(session, RS, statement_expires_at=NOW + DAY)
        node = load_participant(session, "RS")
        assert node is not None
        assert (node.trust, len(node.allowed_networks)) == ("anchor", 1)
        assert [node.is_trusted(NOW + after) for after in (DAY - SECOND, DAY)] == [True, False]


@pytest.mark.parametrize(
    "claimant",
    [
        pytest.param(replace(MK, participant="RS"), id="another node claims the code"),
        pytest.param(replace(RS, participant="MK"), id="the node claims another code"),
    ],
)
def test_a_code_belongs_to_one_node_until_an_operator_decides(engine: sa.Engine, claimant: Identity) -> None:
    with writing(engine) as session:
        bind(session, RS)
    with pytest.raises(TrustError) as refusal, writing(engine) as session:
        bind(session, claimant)
    assert refusal.value.code == "participant_taken"
    with reading(engine) as session:
        assert [(n.participant, n.entity_id) for n in load_participants(session)] == [("RS", RS.entity_id)]


def test_a_code_whose_trust_ended_may_be_bound_anew(engine: sa.Engine) -> None:
    with writing(engine) as session:
        bind(session, RS)
        end_trust(session, "RS", NOW)
        node = load_participant(session, "RS")
        assert node is not None
        assert (node.ended_at, node.is_trusted(NOW)) == (NOW, False)
        end_trust(session, "RS", NOW + DAY)
        assert load_participant(session, "RS") == node
        bind(session, replace(MK, participant="RS"))
        node = load_participant(session, "RS")
        assert node is not None
        assert (node.entity_id, node.ended_at) == (MK.entity_id, None)
    with pytest.raises(NotHeldError), writing(engine) as session:
        end_trust(session, "MK", NOW)


def test_a_code_bound_anew_does_not_speak_with_the_former_nodes_keys(engine: sa.Engine) -> None:
    """What the former node said is kept as evidence, and verifies nothing of the new one."""
    successor = replace(MK, participant="RS")
    with writing(engine) as session:
        bind(session, RS, "peering")
        store_configuration(session, configure(RS, 60))
        end_trust(session, "RS", NOW)
        bind(session, successor, "peering")
        node = load_participant(session, "RS")
        assert node is not None
        assert (node.configuration, node.operating_keys) == (None, {})
        with pytest.raises(NotHeldError):
            configurations_chain(session, "RS")
        assert store_configuration(session, configure(successor, 1)) == "newer"  # no rollback of another node's
        store_configuration(session, configure(successor, 2))
        node = load_participant(session, "RS")
        assert node is not None
        assert node.configuration == configure(successor, 2)
        assert configurations_chain(session, "RS") == [configure(successor, after).token for after in (1, 2)]
        assert len(load_configurations(session, "RS")) == 3


def test_an_operator_who_mistook_the_code_can_pin_again(engine: sa.Engine) -> None:
    with writing(engine) as session:
        bind(session, replace(RS, participant="MK"), "peering")
        with pytest.raises(TrustError, match="participant_taken"):
            bind(session, RS, "peering")
        end_trust(session, "MK", NOW)
        bind(session, RS, "peering")
        assert [node.participant for node in load_participants(session)] == ["RS"]


def test_a_node_that_was_heard_keeps_its_code(engine: sa.Engine) -> None:
    with writing(engine) as session:
        bind(session, RS, "peering")
        store_configuration(session, configure(RS))
        end_trust(session, "RS", NOW)
        with pytest.raises(TrustError, match="participant_taken"):
            bind(session, replace(RS, participant="MK"), "peering")


@pytest.mark.parametrize("trust", ["anchor", "peering"])
def test_a_configuration_is_in_force_while_it_lasts_and_its_key_is_trusted(engine: sa.Engine, trust: Trust) -> None:
    second = replace(RS, federation_key=key("rs second"))
    with writing(engine) as session:
        bind(session, RS, trust)
        store_configuration(session, configure(RS))
        node = load_participant(session, "RS")
        assert node is not None
        end = NOW + 7 * DAY + 300 * SECOND
        assert [bool(node.keys_in_force(at)) for at in (NOW, end - SECOND, end)] == [True, True, False]
        assert load_reader_keys(session, RS.entity_id, end) == {}
        bind(session, second, trust)  # the anchor vouches for another key now
        node = load_participant(session, "RS")
        assert node is not None
        assert bool(node.keys_in_force(NOW)) == (trust == "peering")


def test_configurations_replace_each_other_in_order(engine: sa.Engine) -> None:
    with writing(engine) as session:
        bind(session, RS)
        for after, standing in ((0, "newer"), (0, "same"), (1, "newer"), (DAY.total_seconds(), "newer")):
            assert store_configuration(session, configure(RS, after)) == standing
        assert load_configuration(session, "RS") == configure(RS, DAY.total_seconds())
        assert len(load_configurations(session, "RS")) == 3
        assert load_configuration(session, "ME") is None


@pytest.mark.parametrize(
    "older",
    [
        pytest.param(configure(RS, -1), id="a second older"),
        pytest.param(configure(RS, 0, name="Other"), id="the same second"),
    ],
)
def test_an_older_configuration_changes_nothing(engine: sa.Engine, older: NodeConfiguration) -> None:
    with writing(engine) as session:
        bind(session, RS)
        store_configuration(session, configure(RS))
    with pytest.raises(LogIntegrityError) as refusal, writing(engine) as session:
        store_configuration(session, older)
    assert refusal.value.code == "rollback"
    with reading(engine) as session:
        assert load_configurations(session, "RS") == [configure(RS)]


def stolen(by: Identity, owner: Identity) -> Identity:
    return replace(by, federation_key=owner.federation_key)


def test_one_federation_key_does_not_sign_for_two(engine: sa.Engine) -> None:
    with writing(engine) as session:
        bind(session, RS)
        store_configuration(session, configure(RS))
        bind(session, MK)
    with pytest.raises(TrustError) as refusal, writing(engine) as session:
        store_configuration(session, configure(stolen(MK, RS)))
    assert refusal.value.code == "key_reused"
    with pytest.raises(TrustError, match="key_reused"), writing(engine) as session:
        bind(session, stolen(MK, RS))


def test_a_pinned_key_is_proven_by_its_operator(engine: sa.Engine) -> None:
    with writing(engine) as session:
        bind(session, RS, "peering")
    with pytest.raises(TrustError, match="key_reused"), writing(engine) as session:
        bind(session, stolen(MK, RS), "peering")


def test_listing_anothers_keys_shuts_nobody_out(engine: sa.Engine) -> None:
    """Public keys can be listed by anybody: neither the federation nor the operating key of RS is taken from it."""
    rs_keys = keys_of(RS)
    with writing(engine) as session:
        bind_participant(session, "MK", MK.entity_id, "anchor", keys_of(MK) | rs_keys)
        listing = replace(MK, former_keys=(RS.operating_key,))
        store_configuration(session, configure(listing, other_federation_keys=rs_keys))
        bind(session, RS)
        assert store_configuration(session, configure(RS)) == "newer"
        assert shared_operating_keys(session) == {RS.operating_key.kid: ["MK", "RS"]}
        assert key_warnings(session).keys() == {"MK", "RS"}
        assert "and so does RS" in key_warnings(session)["MK"][0]


def test_the_chain_shows_each_change_of_federation_keys_and_the_current_one(engine: sa.Engine) -> None:
    second = replace(RS, federation_key=key("rs second"))
    steps = [
        configure(RS, 0),
        configure(RS, 10),
        configure(RS, 20, other_federation_keys=keys_of(second)),
        configure(RS, 30, other_federation_keys=keys_of(second)),
        configure(second, 40),
        configure(second, 50),
    ]
    with writing(engine) as session:
        bind(session, RS)
        for configuration in steps:
            store_configuration(session, configuration)
        chain = configurations_chain(session, "RS")
    assert chain == [steps[place].token for place in (0, 2, 4, 5)]
    followed = follow_chain(
        chain,
        start=keys_of(RS),
        held=steps[1],
        entity_id=RS.entity_id,
        participant="RS",
        now=NOW + 60 * SECOND,
    )
    assert [configuration.token for configuration in followed] == chain[1:]


def test_there_is_no_chain_of_nobody(engine: sa.Engine) -> None:
    with reading(engine) as session, pytest.raises(NotHeldError):
        configurations_chain(session, "RS")


def test_a_removed_operating_key_verifies_nothing_any_more(engine: sa.Engine) -> None:
    rotated = replace(RS, operating_key=key("rs operating 2"))
    with writing(engine) as session:
        bind(session, RS)
        store_configuration(session, configure(RS))
        store_configuration(session, configure(rotated, 1))
        keys = load_reader_keys(session, RS.entity_id, NOW)
    assert keys is not None
    assert keys.keys() == {rotated.operating_key.kid}
    with pytest.raises(TokenError, match="unknown_key"):
        verify_read_token(make_read_token(RS, ME.entity_id, NOW), ME.entity_id, lambda issuer: keys, NOW)


# -- anchors


def test_one_anchor_is_trusted_at_a_time(engine: sa.Engine) -> None:
    with writing(engine) as session:
        assert load_anchor(session) is None
        trust_anchor(session, "https://old.example.org", key_set(key("old")))
        before = read_counters(session)["federation"]
        trust_anchor(session, ANCHOR.entity_id, key_set(ANCHOR.key), ["10.0.0.0/8"])
        anchor = load_anchor(session)
        assert read_counters(session)["federation"] > before
    assert anchor is not None
    assert (anchor.entity_id, anchor.keys.keys()) == (ANCHOR.entity_id, {ANCHOR.key.kid})
    assert [str(network) for network in anchor.allowed_networks] == ["10.0.0.0/8"]
    with pytest.raises(TrustError, match="insecure_url"), writing(engine) as session:
        trust_anchor(session, "https://x.example.org", key_set(key("x")), ["everywhere"])


def test_being_an_anchor(engine: sa.Engine) -> None:
    with writing(engine) as session:
        enrol(session, "RS", RS.entity_id, keys_of(RS), NOW)
        enrol(session, "ME", ME.entity_id, keys_of(ME), NOW)
        enrol(session, "RS", RS.entity_id, keys_of(RS) | key_set(key("rs second")), NOW)
        assert list_subordinates(session) == [ME.entity_id, RS.entity_id]
        assert list_enrolled(session) == [("ME", ME.entity_id), ("RS", RS.entity_id)]
        word = fetch_statement(session, ANCHOR, RS.entity_id, NOW)
        unenrol(session, "RS")
        assert list_subordinates(session) == [ME.entity_id]
        for absent in (RS.entity_id, "https://nobody.example", ""):
            with pytest.raises(NotHeldError):
                fetch_statement(session, ANCHOR, absent, NOW)
        with pytest.raises(NotHeldError):
            unenrol(session, "RS")
    proven = verify_subordinate_statement(
        word.token, keys=key_set(ANCHOR.key), now=NOW, anchor_id=ANCHOR.entity_id, entity_id=RS.entity_id
    )
    assert (proven.participant, len(proven.federation_keys)) == ("RS", 2)


@pytest.mark.parametrize(
    ("claimant", "code"),
    [
        pytest.param(replace(MK, participant="RS"), "participant_taken", id="another node"),
        pytest.param(replace(RS, participant="MK"), "participant_taken", id="another code"),
        pytest.param(stolen(MK, RS), "key_reused", id="another's key"),
    ],
)
def test_an_anchor_vouches_once(engine: sa.Engine, claimant: Identity, code: str) -> None:
    with writing(engine) as session:
        enrol(session, "RS", RS.entity_id, keys_of(RS), NOW)
    with pytest.raises(TrustError) as refusal, writing(engine) as session:
        enrol(session, claimant.participant, claimant.entity_id, keys_of(claimant), NOW)
    assert refusal.value.code == code


# -- readers


def test_a_trusted_reader_proves_itself(engine: sa.Engine) -> None:
    with writing(engine) as session:
        bind(session, RS)
        store_configuration(session, configure(RS))
    token = make_read_token(RS, ME.entity_id, NOW)
    with reading(engine) as session:
        keys = load_reader_keys(session, RS.entity_id, NOW)
    for after in (0, 300, 600):
        assert verify_read_token(token, ME.entity_id, {RS.entity_id: keys}.get, NOW + after * SECOND) == RS.entity_id


TOKEN = make_read_token(RS, ME.entity_id, NOW)


@pytest.mark.parametrize(
    ("token", "after", "code"),
    [
        pytest.param(make_read_token(MK, ME.entity_id, NOW), 0, "unauthenticated", id="an unknown reader"),
        pytest.param(TOKEN, -301, "not_yet_valid", id="from the future"),
        pytest.param(TOKEN, 601, "expired", id="expired"),
        pytest.param(make_read_token(RS, MK.entity_id, NOW), 0, "wrong_audience", id="meant for another"),
        pytest.param(
            altered(TOKEN, RS.operating_key, aud=[ME.entity_id]), 0, "wrong_audience", id="a list of audiences"
        ),
        pytest.param(altered(TOKEN, MK.operating_key), 0, "unknown_key", id="another reader's key"),
        pytest.param(altered(TOKEN, key("rs federation")), 0, "unknown_key", id="the federation key"),
        pytest.param(altered(TOKEN, RS.operating_key, exp=int(NOW.timestamp()) + 301), 0, "malformed", id="301 s"),
        pytest.param(altered(TOKEN, RS.operating_key, sub="RS"), 0, "malformed", id="another claim"),
        pytest.param(configure(RS).token, 0, "wrong_type", id="a configuration"),
        pytest.param("", 0, "malformed", id="nothing"),
    ],
)
def test_others_read_nothing(engine: sa.Engine, token: str, after: int, code: str) -> None:
    now = NOW + after * SECOND
    with writing(engine) as session:
        bind(session, RS)
        store_configuration(session, configure(RS))
        with pytest.raises(TokenError) as refusal:
            verify_read_token(token, ME.entity_id, lambda issuer: load_reader_keys(session, issuer, now), now)
    assert refusal.value.code == code


@pytest.mark.parametrize("end", ["ended", "expired", "no configuration"])
def test_trust_that_ended_reads_nothing(engine: sa.Engine, end: str) -> None:
    with writing(engine) as session:
        bind(session, RS, statement_expires_at=NOW if end == "expired" else None)
        if end != "no configuration":
            store_configuration(session, configure(RS))
        if end == "ended":
            end_trust(session, "RS", NOW)
        code = "unknown_key" if end == "no configuration" else "unauthenticated"
        with pytest.raises(TokenError, match=code):
            verify_read_token(TOKEN, ME.entity_id, lambda issuer: load_reader_keys(session, issuer, NOW), NOW)


HINT = {"authority_hints": [ANCHOR.entity_id]}
SHARED = {"readers": [RS.entity_id]}


@pytest.mark.parametrize(
    ("origin", "origin_trust", "said", "reader_trust", "may"),
    [
        pytest.param(ME, "own", {}, "peering", True, id="the own log, to a peer"),
        pytest.param(ME, "own", {}, "anchor", True, id="the own log, under the anchor"),
        pytest.param(RS, "peering", {}, "peering", True, id="to its origin"),
        pytest.param(MK, "anchor", HINT, "anchor", True, id="both under the anchor it hints at"),
        pytest.param(MK, "anchor", {}, "anchor", False, id="the origin hints at no anchor"),
        pytest.param(
            MK, "anchor", {"authority_hints": ["https://other.example"]}, "anchor", False, id="another anchor"
        ),
        pytest.param(MK, "anchor", HINT, "peering", False, id="the reader is only a peer"),
        pytest.param(MK, "peering", HINT, "anchor", False, id="the origin is only a peer"),
        pytest.param(MK, "peering", SHARED, "peering", True, id="a reader that the origin names"),
        pytest.param(MK, "peering", {"readers": [ME.entity_id]}, "peering", False, id="it names another reader"),
        pytest.param(MK, "anchor", None, "anchor", False, id="an origin without configuration"),
    ],
)
def test_who_may_have_whose_entries(
    engine: sa.Engine,
    origin: Identity,
    origin_trust: Trust,
    said: dict[str, Any] | None,
    reader_trust: Trust,
    may: bool,
) -> None:
    with writing(engine) as session:
        trust_anchor(session, ANCHOR.entity_id, key_set(ANCHOR.key))
        bind(session, RS, reader_trust)
        if origin is not RS:
            bind(session, origin, origin_trust)
        if said is not None:
            store_configuration(session, configure(origin, **said))
        if may:
            check_may_read_entries(session, RS.entity_id, origin.participant)
            return
        with pytest.raises(TrustError) as refusal:
            check_may_read_entries(session, RS.entity_id, origin.participant)
    assert refusal.value.code == "forbidden"


@pytest.mark.parametrize(
    ("reader", "participant", "code"),
    [(RS.entity_id, "AL", "not_found"), ("https://nobody.example", "MK", "forbidden")],
)
def test_nothing_is_shared_of_or_with_strangers(engine: sa.Engine, reader: str, participant: str, code: str) -> None:
    with writing(engine) as session:
        bind(session, RS)
        bind(session, MK)
        store_configuration(session, configure(MK, **HINT))
        with pytest.raises(FederationError) as refusal:
            check_may_read_entries(session, reader, participant)
    assert refusal.value.code == code


def test_without_an_anchor_nobody_is_under_one(engine: sa.Engine) -> None:
    with writing(engine) as session:
        bind(session, RS)
        bind(session, MK)
        store_configuration(session, configure(MK, **HINT))
        with pytest.raises(TrustError, match="forbidden"):
            check_may_read_entries(session, RS.entity_id, "MK")


def test_stored_keys_are_those_given(engine: sa.Engine) -> None:
    with writing(engine) as session:
        bind(session, RS)
        stored = session.scalar(sa.text("SELECT federation_jwks FROM participant"))
        node = load_participant(session, "RS")
    assert node is not None
    assert parse_jwks(jwks_of(node.federation_keys)).keys() == keys_of(RS).keys()
    assert str(stored).startswith('{"keys":[{"kty":"OKP"')
    assert verify_configuration(
        configure(RS).token, keys=node.federation_keys, now=NOW, entity_id=RS.entity_id, participant="RS"
    )
