"""Pages, headers, payloads, frontiers and problem bodies: what a peer sends is read, or refused with a code."""

import json

from hypothesis import given
from hypothesis import strategies as st

from federation.entries import (
    Entry,
    Header,
    check_payload,
    covered_digest,
    decode_page,
    encode_page,
    make_delete,
    make_put,
    parse_header,
    parse_payload,
)
from federation.errors import EntryError, FederationError
from federation.merkle import Frontier, inclusion_path, leaf_hash, root_of, verify_inclusion
from federation.projection import project, read_header
from federation.stored_log import StackedTree
from sync.transport import PROBLEM, Response, read_object, read_problem
from tests.fuzz.attempts import Refused, attempt
from tests.fuzz.mutations import mutated_bytes, mutated_json
from tests.records import make_unit
from tests.unit.federation.samples import NOW

ERRORS = (EntryError,)
PUT, DELETE = make_put(3, "unit/spoc", make_unit(), NOW, bytes(16)), make_delete(4, "unit/spoc", NOW)
assert PUT.payload is not None
HEADERS = [json.loads(PUT.header), json.loads(DELETE.header)]
PROBLEM_BODY = {"type": "urn:veza:problem:busy", "title": "busy", "status": 503, "detail": "later"}
LEAVES = st.lists(st.binary(max_size=8).map(leaf_hash), max_size=70)


@given(mutated_bytes([encode_page([PUT, DELETE] * 3)]), st.integers(0, 8))
def test_a_page(body: bytes, count: int) -> None:
    entries = attempt("pages", decode_page, body, count, errors=ERRORS)
    if not isinstance(entries, Refused):
        assert decode_page(encode_page(entries), count) == entries


@given(st.lists(st.tuples(st.text(max_size=60), st.none() | st.text(max_size=60)), max_size=20))
def test_a_page_of_any_texts(texts: list[tuple[str, str | None]]) -> None:
    """Whatever bytes an origin wrote come back byte for byte."""
    clean = [(one, two) for one, two in texts if not _surrogates(one + (two or ""))]
    entries = [Entry(one.encode(), None if two is None else two.encode()) for one, two in clean]
    assert decode_page(encode_page(entries), len(entries)) == entries


def _surrogates(text: str) -> bool:
    return any("\ud800" <= letter <= "\udfff" for letter in text)


@given(mutated_json(HEADERS))
def test_a_header(header: bytes) -> None:
    parsed = attempt("headers", parse_header, header, errors=ERRORS)
    assert isinstance(parsed, Refused) or parsed.seq >= 0
    attempt("headers", covered_digest, header, errors=())


@given(mutated_json([json.loads(PUT.payload)]), mutated_json(HEADERS))
def test_a_payload(payload: bytes, header: bytes) -> None:
    attempt("payloads", parse_payload, payload, errors=ERRORS)
    attempt("payloads", check_payload, Entry(header, payload), errors=ERRORS)
    projected = attempt("payloads", project, "ME", 3, read_header(header), payload, errors=())
    assert (projected.applied, projected.skipped) != (None, None)


@given(
    st.sampled_from(["unit", "member", "agency", "rota", "outage", "participant", "novelty"]),
    st.integers(),
    mutated_json([json.loads(PUT.payload)]),
)
def test_a_payload_under_any_header(type_: str, seq: int, payload: bytes) -> None:
    """One bad record poisons nothing: it is shown as unreadable or unknown, and listed as skipped."""
    header = Header(seq, f"{type_}/spoc", "put", NOW, None)
    projected = attempt("projections", project, "ME", seq, header, payload, errors=())
    assert projected.applied is not None
    assert (projected.applied.state == "live") == (projected.skipped is None)


@given(st.binary(max_size=200))
def test_a_frontier(data: bytes) -> None:
    frontier = attempt("frontiers", Frontier.from_bytes, data, errors=(FederationError,))
    assert isinstance(frontier, Refused) or frontier.to_bytes() == data


@given(LEAVES, st.integers(0, 80))
def test_two_trees_and_every_proof_agree(leaves: list[bytes], index: int) -> None:
    headers = [bytes([number]) for number in range(len(leaves))]
    tree, frontier = StackedTree(), Frontier()
    for header in headers:
        tree.push(header)
        frontier = frontier.append(leaf_hash(header))
    assert (tree.root(), tree.frontier()) == (frontier.root(), frontier.to_bytes())
    assert Frontier.from_bytes(tree.frontier()) == frontier
    if index < len(leaves):
        verify_inclusion(leaves[index], index, len(leaves), inclusion_path(leaves, index), root_of(leaves))


@given(LEAVES, st.integers(), st.integers(), st.lists(st.binary(max_size=40), max_size=70), st.binary(max_size=32))
def test_no_invented_proof(leaves: list[bytes], index: int, size: int, path: list[bytes], root: bytes) -> None:
    leaf = leaves[0] if leaves else bytes(32)
    proven = attempt("proofs", verify_inclusion, leaf, index, size, path, root, errors=(FederationError,))
    assert isinstance(proven, Refused) or (size == 1 and leaf == root)


@given(mutated_json([PROBLEM_BODY]))
def test_a_problem(body: bytes) -> None:
    code, detail = attempt("problems", read_problem, Response(400, PROBLEM, body), errors=())
    assert code is None or code.isascii()
    assert detail.isprintable()
    assert len(detail) <= 300
    attempt("problems", read_object, body, errors=())
