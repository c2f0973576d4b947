"""The Merkle tree of a log (RFC 6962; RFC 9162, section 2.1), reduced to what a follower needs.

Rules:

- A leaf is ``SHA-256(0x00 || header bytes)``, an inner node ``SHA-256(0x01 || left || right)``: no leaf can pass for a
  node.
- An empty log's root is ``SHA-256("")``.
- A *frontier* holds the roots of the largest full subtrees, from left to right: O(log n) hashes with which new leaves
  continue the tree. What is held plus the new leaves gives the signed root, or the history is another one: no
  consistency proof is needed.

Everything here is pure: bytes in, bytes out.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from federation.errors import FederationError, LogIntegrityError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()


def leaf_hash(header: bytes) -> bytes:
    """The leaf of an entry: its header's exact bytes, never its payload, which may be erased."""
    return hashlib.sha256(b"\x00" + header).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The compact form of the first ``size`` leaves: one hash per bit set in ``size``, largest subtree first."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> "Frontier":
        """The frontier with one more leaf (a leaf *hash*)."""
        return self.extend((leaf,))

    def extend(self, leaves: Iterable[bytes]) -> "Frontier":
        """The frontier with more leaf hashes, in constant memory."""
        size, hashes, sha256 = self.size, list(self.hashes), hashlib.sha256
        for leaf in leaves:
            node, rest = leaf, size
            while rest & 1:  # a full subtree of equal height stands to the left: join them
                node = sha256(b"\x01" + hashes.pop() + node).digest()
                rest >>= 1
            hashes.append(node)
            size += 1
        return Frontier(size, tuple(hashes))

    def root(self) -> bytes:
        """The tree's root."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in reversed(self.hashes[:-1]):
            root = _node(left, root)
        return root

    def to_bytes(self) -> bytes:
        """Size in 8 bytes, then the hashes."""
        return self.size.to_bytes(8, "big") + b"".join(self.hashes)

    @classmethod
    def from_bytes(cls, data: bytes) -> "Frontier":
        """Inverse of ``to_bytes``; FederationError ``malformed`` where the number of hashes does not fit the size."""
        size, rest = int.from_bytes(data[:8], "big"), data[8:]
        expected = 8 + HASH_BYTES * size.bit_count()
        if len(data) != expected:
            raise FederationError("malformed", f"expected a frontier of {expected} bytes, found {len(data)}")
        return cls(size, tuple(rest[i : i + HASH_BYTES] for i in range(0, len(rest), HASH_BYTES)))


def root_of(leaves: Iterable[bytes]) -> bytes:
    """The root over leaf hashes."""
    return Frontier().extend(leaves).root()


def inclusion_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The path that proves leaf ``index`` under the root over ``leaves`` (RFC 9162, section 2.1.3.1), lowest first.

    IndexError where there is no such leaf.
    """
    if not 0 <= index < len(leaves):
        raise IndexError(f"expected an index below {len(leaves)}, found {index}")
    path, level = [], list(leaves)
    while len(level) > 1:
        sibling = index ^ 1
        if sibling < len(level):  # the last node of an odd level has no sibling and moves up as it is
            path.append(level[sibling])
        pairs = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
        index >>= 1
    return path


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> None:
    """Check that ``leaf`` is number ``index`` of the tree of ``size`` leaves under ``root`` (RFC 9162, 2.1.3.2).

    Raises LogIntegrityError ``root_mismatch`` where the path does not prove it.
    """
    if not 0 <= index < size:
        raise LogIntegrityError("root_mismatch", f"expected an index below {size}, found {index}")
    node, position, last = leaf, index, size - 1
    for sibling in path:
        if last == 0:
            raise LogIntegrityError("root_mismatch", f"expected a shorter path for leaf {index} of {size}")
        if position & 1 or position == last:
            node = _node(sibling, node)
            skipped = (position & -position).bit_length() - 1  # levels on which it moved up without a sibling
            position, last = position >> skipped, last >> skipped
        else:
            node = _node(node, sibling)
        position, last = position >> 1, last >> 1
    if last != 0 or node != root:
        raise LogIntegrityError("root_mismatch", f"the path does not prove leaf {index} of {size} under this root")
