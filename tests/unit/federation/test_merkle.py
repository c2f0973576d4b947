import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.errors import FederationError, LogIntegrityError
from federation.merkle import (
    EMPTY_ROOT,
    Frontier,
    inclusion_path,
    leaf_hash,
    root_of,
    verify_inclusion,
)

LEAVES = [leaf_hash(bytes([number])) for number in range(70)]


def definition(leaves: list[bytes]) -> bytes:
    """RFC 6962, section 2.1, word by word: the tree over more than one leaf splits at the largest power of two."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return hashlib.sha256(b"\x01" + definition(leaves[:split]) + definition(leaves[split:])).digest()


def test_known_roots() -> None:
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    # The published test tree of RFC 6962 implementations: eight inputs of growing length.
    inputs = ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"]
    leaves = [leaf_hash(bytes.fromhex(text)) for text in inputs]
    assert root_of(leaves).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@pytest.mark.parametrize("size", range(70))
def test_root_is_that_of_the_definition(size: int) -> None:
    assert root_of(LEAVES[:size]) == definition(LEAVES[:size])


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=60), st.data())
def test_a_frontier_continued_is_the_whole_tree(leaves: list[bytes], data: st.DataObject) -> None:
    held = data.draw(st.integers(0, len(leaves)))
    frontier = Frontier().extend(leaves[:held])
    stored = Frontier.from_bytes(frontier.to_bytes())
    assert stored == frontier
    assert stored.extend(leaves[held:]).root() == definition(leaves)


@pytest.mark.parametrize("leaf", [0, 33, 69])
def test_one_bit_changes_the_root(leaf: int) -> None:
    changed = LEAVES.copy()
    changed[leaf] = bytes([changed[leaf][0] ^ 1]) + changed[leaf][1:]
    assert root_of(changed) != root_of(LEAVES)


def test_swapped_repeated_and_dropped_leaves_change_the_root() -> None:
    honest = root_of(LEAVES[:10])
    swapped = [*LEAVES[:4], LEAVES[5], LEAVES[4], *LEAVES[6:10]]
    repeated = [*LEAVES[:5], LEAVES[4], *LEAVES[5:9]]
    assert len({honest, root_of(swapped), root_of(repeated), root_of(LEAVES[:9])}) == 4


def test_a_leaf_cannot_pass_for_a_node() -> None:
    pair = Frontier().extend(LEAVES[:2])
    crafted = leaf_hash(LEAVES[0] + LEAVES[1])
    assert pair.root() != Frontier().append(crafted).root()


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"\x00" * 7, id="a size cut short"),
        pytest.param((3).to_bytes(8, "big") + b"\x00" * 32, id="a hash missing"),
        pytest.param((1).to_bytes(8, "big") + b"\x00" * 33, id="a byte too many"),
        pytest.param((0).to_bytes(8, "big") + b"\x00" * 32, id="a hash of nothing"),
    ],
)
def test_a_damaged_frontier_is_refused(data: bytes) -> None:
    with pytest.raises(FederationError, match="frontier"):
        Frontier.from_bytes(data)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 8, 9, 31, 70])
def test_every_leaf_can_be_proven(size: int) -> None:
    root = root_of(LEAVES[:size])
    for index in range(size):
        verify_inclusion(LEAVES[index], index, size, inclusion_path(LEAVES[:size], index), root)


@given(st.integers(1, 70), st.data())
def test_no_other_leaf_place_or_path_is_proven(size: int, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, size - 1))
    root, path = root_of(LEAVES[:size]), inclusion_path(LEAVES[:size], index)
    forged = [leaf_hash(b"x"), *path]
    cases = [
        (leaf_hash(b"another"), index, size, path),
        (LEAVES[index], index, size, forged),
        (LEAVES[index], size, size, path),
        (LEAVES[index], -1, size, path),
        (LEAVES[index], index, size, path[:-1] if path else forged),
        (LEAVES[index], (index + 1) % size if size > 1 else 1, size, path),
    ]
    for leaf, claimed, length, offered in cases:
        with pytest.raises(LogIntegrityError) as refusal:
            verify_inclusion(leaf, claimed, length, offered, root)
        assert refusal.value.code == "root_mismatch"


@pytest.mark.parametrize("index", [-1, 5, 6])
def test_there_is_no_path_to_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(IndexError):
        inclusion_path(LEAVES[:5], index)
