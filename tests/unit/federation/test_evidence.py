"""Evidence of a fork: what it proves, what it does not, and that a checker of other hands comes to the same verdict."""

import copy
import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from federation.checkpoint import Checkpoint
from federation.encoding import b64url_encode, dump_json
from federation.errors import LogIntegrityError
from federation.evidence import (
    check_evidence,
    find_divergence,
    is_complete,
    make_evidence,
    read_evidence,
    select_configurations,
)
from federation.keys import key_set
from federation.merkle import inclusion_path, leaf_hash, root_of
from federation.statements import NodeConfiguration, read_configuration
from tests import fork_checker
from tests.simulators.node_simulator import NOW, SimulatedNode, named_identity

HOUR = dt.timedelta(hours=1)
Evidence = dict[str, Any]


def two_histories(held_size: int = 10, offered_size: int = 13, seq: int = 4) -> tuple[SimulatedNode, SimulatedNode]:
    """One participant's log, and the same with entry ``seq`` rewritten."""
    held = SimulatedNode(named_identity("RS"))
    held.grow(max(held_size, offered_size))
    offered = held.copy()
    offered.rewrite(seq)
    held.roll_back_to(held_size)
    offered.roll_back_to(offered_size)
    return held, offered


def evidence_of(held: SimulatedNode, offered: SimulatedNode, *configurations: str) -> Evidence:
    divergence = find_divergence(headers(held), headers(offered), held.size, offered.size)
    tokens = configurations or (held.configuration(),)
    return make_evidence(
        held.checkpoint(), offered.checkpoint(), [read_configuration(each) for each in tokens], divergence
    )


def headers(node: SimulatedNode) -> list[bytes]:
    return [entry.header for entry in node.entries]


def is_proven_to_others(evidence: Evidence) -> bool:
    try:
        fork_checker.check(evidence)
    except (fork_checker.NotProvenError, ValueError, KeyError, TypeError, IndexError, AttributeError):
        return False
    return True


@settings(max_examples=120, deadline=None)
@given(st.integers(1, 70), st.integers(1, 70), st.data())
def test_divergence_is_found_and_its_paths_are_those_of_the_tree(held: int, offered: int, data: st.DataObject) -> None:
    """Read once and in order, and yet the same as from the whole tree."""
    seq = data.draw(st.integers(0, min(held, offered) - 1))
    mine = [b"entry %d" % number for number in range(held)]
    theirs = [b"entry %d" % number for number in range(seq)] + [b"other %d" % number for number in range(seq, offered)]
    found = find_divergence(iter(mine), iter(theirs), held, offered)
    assert found is not None
    assert (found.seq, found.held_header, found.offered_header) == (seq, mine[seq], theirs[seq])
    for history, path in ((mine, found.held_path), (theirs, found.offered_path)):
        leaves = [leaf_hash(header) for header in history]
        assert list(path) == inclusion_path(leaves, seq)
        assert fork_checker.climb(leaves[seq], seq, len(leaves), list(path)) == root_of(leaves)


@pytest.mark.parametrize(("held", "offered"), [(5, 5), (5, 9), (9, 5), (0, 5)])
def test_prefix_diverges_nowhere(held: int, offered: int) -> None:
    history = [b"entry %d" % number for number in range(9)]
    assert find_divergence(iter(history), iter(history), held, offered) is None


@pytest.mark.parametrize(
    ("held", "offered", "seq"), [(10, 10, 4), (10, 13, 4), (13, 10, 0), (1, 2, 0), (300, 257, 256), (7, 8, 6)]
)
def test_two_histories_are_proven(held: int, offered: int, seq: int) -> None:
    evidence = evidence_of(*two_histories(held, offered, seq))
    verdict = check_evidence(evidence)
    assert verdict.fault is None
    assert (verdict.held.size, verdict.offered.size) == (held, offered)
    assert verdict.rests_on == fork_checker.check(evidence) == named_identity("RS").federation_key.kid
    assert bool(evidence["headers"]) == (held != offered)
    assert is_complete(evidence)
    assert read_evidence(dump_json(evidence)) == verdict


def test_form_is_the_one_that_others_read() -> None:
    evidence = evidence_of(*two_histories())
    assert list(evidence) == ["participant", "held", "offered", "configurations", "headers", "proofs"]
    [[seq, mine, theirs]] = evidence["headers"]
    assert (seq, type(mine), type(theirs)) == (4, str, str)
    assert evidence["proofs"].keys() == {"held", "offered"}


def test_neither_expiry_nor_a_removed_key_makes_a_signature_untrue() -> None:
    held, offered = two_histories()
    first = held.configuration()
    held.now += 24 * 400 * HOUR
    offered.now = held.now
    offered.rotate_operating_key("rs operating 2")
    evidence = evidence_of(held, offered, first, offered.sign_configuration())
    assert check_evidence(evidence).is_proven
    assert is_proven_to_others(evidence)


def test_it_rests_on_any_key_from_which_on_the_chain_proves_it() -> None:
    """A federation key that was rotated leaves evidence that whoever knows the newer one can believe too."""
    held, offered = two_histories()
    first, old = held.configuration(), held.identity.federation_key
    held.now = offered.now = held.now + HOUR
    offered.rotate_federation_key("rs federation 2")
    evidence = evidence_of(held, offered, first, *offered.chain[1:])
    verdict = check_evidence(evidence)
    assert verdict.is_proven
    assert verdict.rests_on_any == (old.kid, offered.identity.federation_key.kid)
    assert verdict.rests_on == old.kid


def test_a_key_that_a_stranger_merely_lists_is_none_that_it_rests_on() -> None:
    """Whoever puts an own configuration before a true chain proves nothing of the country that the chain is of."""
    stranger, country = named_identity("XK"), named_identity("RS")
    assert stranger.federation_key is not None
    assert country.federation_key is not None
    held = SimulatedNode(replace(country, federation_key=stranger.federation_key, operating_key=stranger.operating_key))
    held.grow(10)
    offered = held.copy()
    offered.rewrite(4)
    false = held.sign_configuration(other_federation_keys=key_set(country.federation_key))
    true = SimulatedNode(country, NOW + HOUR).configuration()
    verdict = check_evidence(evidence_of(held, offered, false, true))
    assert verdict.is_proven
    assert verdict.rests_on_any == (stranger.federation_key.kid,)


def swap(evidence: Evidence) -> None:
    evidence["held"], evidence["offered"] = evidence["offered"], evidence["held"]


def stolen(evidence: Evidence) -> None:
    thief = SimulatedNode(named_identity("RS"), signing_key=named_identity("MK").operating_key)
    thief.grow(13)
    evidence["offered"] = thief.served_checkpoint().decode()


def made_up(evidence: Evidence) -> None:
    """A configuration of somebody else's making that lists the thief's key, behind the true one."""
    identity = named_identity("RS")
    thief = SimulatedNode(
        type(identity)(
            "RS", identity.entity_id, named_identity("MK").federation_key, named_identity("MK").operating_key
        )
    )
    thief.grow(13)
    evidence["offered"] = thief.checkpoint().token
    evidence["configurations"].append(thief.configuration())


def of_another(evidence: Evidence) -> None:
    other = SimulatedNode(named_identity("MK"))
    other.grow(13)
    evidence["offered"] = other.checkpoint().token
    evidence["configurations"].append(other.configuration())


def longer_path(evidence: Evidence) -> None:
    evidence["proofs"]["offered"].append(b64url_encode(bytes(32)))


LIES: dict[str, Callable[[Evidence], object]] = {
    "sides swapped, headers not": swap,
    "offered signed with another's key": stolen,
    "a configuration that nothing leads to": made_up,
    "another participant's checkpoint": of_another,
    "a path too long": longer_path,
    "a path too short": lambda evidence: evidence["proofs"]["held"].pop(),
    "paths swapped": lambda evidence: evidence.update(
        proofs={"held": evidence["proofs"]["offered"], "offered": evidence["proofs"]["held"]}
    ),
    "headers left out": lambda evidence: evidence.update(headers=[]),
    "one header twice": lambda evidence: evidence["headers"][0].__setitem__(2, evidence["headers"][0][1]),
    "another header": lambda evidence: evidence["headers"][0].__setitem__(1, "{}"),
    "another place": lambda evidence: evidence["headers"][0].__setitem__(0, 5),
    "a place beyond": lambda evidence: evidence["headers"][0].__setitem__(0, 12),
    "a place below": lambda evidence: evidence["headers"][0].__setitem__(0, -1),
    "a place that is a truth": lambda evidence: evidence["headers"][0].__setitem__(0, True),
    "one checkpoint twice": lambda evidence: evidence.update(offered=evidence["held"]),
    "no configurations": lambda evidence: evidence.update(configurations=[]),
    "another participant": lambda evidence: evidence.update(participant="MK"),
    "a signature altered": lambda evidence: evidence.update(held=evidence["held"][:-6] + "AAAAAA"),
    "nonsense for a checkpoint": lambda evidence: evidence.update(held="nonsense"),
    "nonsense for a configuration": lambda evidence: evidence.update(configurations=["nonsense"]),
    "a hash that is none": lambda evidence: evidence["proofs"]["held"].__setitem__(0, "%"),
    "a number for a hash": lambda evidence: evidence["proofs"]["held"].__setitem__(0, 7),
    "headers as text": lambda evidence: evidence.update(headers="headers"),
    "proofs as a list": lambda evidence: evidence.update(proofs=[]),
    "a member more": lambda evidence: evidence.update(note="believe me"),
    "a number for a checkpoint": lambda evidence: evidence.update(held=1),
}


@pytest.mark.parametrize("change", LIES.values(), ids=LIES)
def test_altered_evidence_proves_nothing(change: Callable[[Evidence], object]) -> None:
    evidence = evidence_of(*two_histories())
    altered = copy.deepcopy(evidence)
    change(altered)
    verdict = check_evidence(altered)
    assert not verdict.is_proven
    assert verdict.fault
    assert "note" in altered or not is_proven_to_others(altered)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_no_byte_can_be_changed_unseen(data: st.DataObject) -> None:
    """Whatever character of the file is changed: it proves the same fork or nothing, to this program and to others."""
    evidence = evidence_of(*two_histories())
    text = dump_json(evidence).decode()
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.sampled_from('AZaz09-_{}[]",: '))
    verdict = read_evidence((text[:place] + letter + text[place + 1 :]).encode())
    if verdict.is_proven:
        true = check_evidence(evidence)
        assert (verdict.held, verdict.offered) == (true.held, true.offered)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"null", b"\xff", b'{"held":1,"held":2}', b"[" * 100_000])
def test_files_that_are_no_evidence(content: bytes) -> None:
    assert not read_evidence(content).is_proven


def test_evidence_is_made_of_true_headers_only() -> None:
    held, offered = two_histories()
    divergence = find_divergence(headers(held), headers(offered), held.size, offered.size)
    offered.rewrite(5)
    with pytest.raises(LogIntegrityError, match="offered history"):
        make_evidence(held.checkpoint(), offered.checkpoint(), [], divergence)


def test_without_headers_it_says_what_is_missing() -> None:
    held, offered = two_histories()
    evidence = make_evidence(held.checkpoint(), offered.checkpoint(), [read_configuration(held.configuration())])
    assert not is_complete(evidence)
    assert "could not be had yet" in str(check_evidence(evidence).fault)


class TestConfigurations:
    """Those that prove the keys, and no more than are needed."""

    def rotated(self, *operating: str) -> tuple[SimulatedNode, list[NodeConfiguration]]:
        node, found = SimulatedNode(named_identity("RS")), []
        for name in operating:
            node.now += HOUR
            node.rotate_operating_key(name)
            found.append(read_configuration(node.sign_configuration()))
        return node, found

    def kids(self, *configurations: NodeConfiguration) -> set[str]:
        return {next(iter(each.operating_keys)) for each in configurations}

    def test_both_keys_in_the_newest(self) -> None:
        _, found = self.rotated("a", "a", "a")
        assert select_configurations(found, self.kids(found[0])) == [found[0], found[2]]

    def test_a_former_key_brings_the_first_that_listed_it(self) -> None:
        _, found = self.rotated("a", "b", "b", "c", "d")
        chosen = select_configurations(found, self.kids(found[1], found[4]))
        assert chosen == [found[0], found[1], found[4]]

    def test_every_change_of_federation_keys_is_a_link(self) -> None:
        node, found = self.rotated("a")
        node.rotate_federation_key("rs federation 2")
        links = [*found, *(read_configuration(token) for token in node.chain[1:])]
        chosen = select_configurations(links, self.kids(found[0]))
        assert chosen == links
        held, offered = two_histories()
        held.identity = offered.identity = node.identity
        assert check_evidence(evidence_of(held, offered, *(each.token for each in chosen))).is_proven

    def test_what_stands_before_a_break_is_left_out_where_it_is_not_needed(self) -> None:
        _, found = self.rotated("a")
        other_key = named_identity("XK").federation_key
        anew = SimulatedNode(replace(named_identity("RS"), federation_key=other_key), NOW + 9 * HOUR)
        new = read_configuration(anew.configuration())
        assert select_configurations([*found, new], self.kids(new)) == [new]
        assert select_configurations([*found, new], self.kids(*found)) == [*found, new]


def test_checkpoints_of_one_history_prove_nothing() -> None:
    held, _ = two_histories()
    later: Checkpoint = held.copy().checkpoint(NOW + HOUR)
    evidence = make_evidence(held.checkpoint(), later, [read_configuration(held.configuration())])
    assert "one root" in str(check_evidence(evidence).fault)
    assert not is_proven_to_others(evidence)
