"""What stored configurations list, since when, and which keys they listed once."""

from dataclasses import replace

from federation.identity import Identity
from federation.keys import key_set
from federation.listed_keys import newest_first, read_link, read_listed
from federation.statements import make_configuration
from tests.unit.federation.samples import DAY, NOW, claims_of, forge, header_of, identity, key

FIRST = identity("ME", "one")
SECOND = identity("ME", "two", "one")
THIRD = identity("ME", "three", "two")
MOVED = Identity("ME", FIRST.entity_id, key("me federation 2"), key("three"))


def token(node: Identity, day: int, *others: str) -> str:
    return make_configuration(
        node, now=NOW + day * DAY, other_federation_keys=key_set(*(key(name) for name in others))
    ).token


TOKENS = [
    token(FIRST, 0),
    token(SECOND, 1),
    token(SECOND, 2),
    token(THIRD, 3, "me federation 2"),
    token(MOVED, 4, "me federation"),
    token(MOVED, 5, "me federation"),
]


def test_nothing_is_listed_before_there_is_a_configuration() -> None:
    assert read_listed([]) is None


def test_each_key_is_listed_since_the_first_configuration_that_has_it() -> None:
    listed = read_listed(TOKENS[:3])
    assert listed is not None
    assert listed.operating == {key("one").kid: NOW, key("two").kid: NOW + DAY}
    assert newest_first(listed.operating) == [key("two").kid, key("one").kid]
    assert (listed.signer, listed.signer_since) == (key("me federation").kid, NOW)
    assert listed.former == frozenset()
    assert listed.token == TOKENS[2]
    assert listed.lists(key("one").kid)
    assert not listed.lists(key("three").kid)


def test_what_was_listed_once_is_remembered() -> None:
    listed = read_listed(TOKENS)
    assert listed is not None
    assert listed.operating == {key("three").kid: NOW + 3 * DAY}
    assert listed.federation == {key("me federation").kid: NOW, key("me federation 2").kid: NOW + 3 * DAY}
    assert (listed.signer, listed.signer_since) == (key("me federation 2").kid, NOW + 4 * DAY)
    assert listed.former == {key("one").kid, key("two").kid}


def test_other_software_may_leave_the_kid_of_a_jwk_out() -> None:
    claims = claims_of(TOKENS[0])
    for jwk in claims["jwks"]["keys"]:
        del jwk["kid"]
    federation = replace(FIRST).federation_key
    assert federation is not None
    bare = forge(header_of(TOKENS[0]), claims, federation)
    assert read_link(bare) == (FIRST.entity_id, frozenset({federation.kid}))
