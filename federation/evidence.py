"""Evidence of a fork: what a third person needs to see, from bytes alone, that one participant signed two histories.

It holds (protocol.md, section 5, *Fork*):

1. both checkpoints, as they were signed;
2. the configurations that hold their keys, former ones included, oldest first, each signed by a federation key of the
   one before;
3. where the sizes differ, the first header in which the two histories differ, with the path that proves each under
   its own root (RFC 9162, section 2.1.3). At one size two roots are proof enough.

``check_evidence`` believes nothing else, needs no node and no clock: neither expiry nor a key that was removed later
makes a signature untrue.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice, pairwise
from typing import Any

from federation.checkpoint import Checkpoint, read_checkpoint, verify_checkpoint
from federation.encoding import b64url_decode, b64url_encode, parse_json
from federation.errors import FederationError, LogIntegrityError
from federation.keys import PublicKey
from federation.merkle import Frontier, leaf_hash, root_of, verify_inclusion
from federation.statements import NodeConfiguration, read_configuration, verify_configuration

MEMBERS = ("participant", "held", "offered", "configurations", "headers", "proofs")
_MAX_CONFIGURATIONS = 1024


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first header in which two histories differ, with the path that proves each under its own root."""

    seq: int
    held_header: bytes
    offered_header: bytes
    held_path: tuple[bytes, ...]
    offered_path: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What evidence proves. ``fault`` says what does not hold, and is None where the fork is proven."""

    participant: str | None
    entity_id: str | None = None
    held: Checkpoint | None = None
    offered: Checkpoint | None = None
    rests_on: str | None = None
    """The federation key that signed the first configuration: whoever knows it as the participant's has the proof."""
    rests_on_any: tuple[str, ...] = ()
    """Each federation key that is enough to know, oldest first: the chain from where it signs proves the fork too."""
    fault: str | None = None

    @property
    def is_proven(self) -> bool:
        """Whether the participant signed two histories that cannot both be true."""
        return self.fault is None


def find_divergence(
    held: Iterable[bytes], offered: Iterable[bytes], held_size: int, offered_size: int
) -> Divergence | None:
    """Compare two histories, given as their headers in order; None where the shorter one is a prefix of the longer.

    Both are read once and in constant memory. The paths prove the headers under the roots over what was read, which
    is for the caller to compare with the signed ones.
    """
    mine, theirs = islice(held, held_size), islice(offered, offered_size)
    frontier = Frontier()
    for seq, (my_header, their_header) in enumerate(zip(mine, theirs, strict=False)):
        if my_header != their_header:
            return Divergence(
                seq,
                my_header,
                their_header,
                tuple(_path(frontier, map(leaf_hash, mine), held_size)),
                tuple(_path(frontier, map(leaf_hash, theirs), offered_size)),
            )
        frontier = frontier.append(leaf_hash(my_header))
    return None


def _path(before: Frontier, after: Iterator[bytes], size: int) -> Iterator[bytes]:
    """The inclusion path of the leaf that follows ``before``, lowest first, in one pass over the leaves after it.

    What stands to its left are the full subtrees of the frontier; what stands to its right comes in order.
    """
    left, index, level, last = list(before.hashes), before.size, 0, size - 1
    while last > 0:
        if index & 1:
            yield left.pop()
        elif index < last:
            right = min((index + 2) << level, size) - ((index + 1) << level)
            yield root_of(islice(after, right))
        index, last, level = index >> 1, last >> 1, level + 1


def make_evidence(
    held: Checkpoint,
    offered: Checkpoint,
    configurations: Sequence[NodeConfiguration],
    divergence: Divergence | None = None,
) -> dict[str, Any]:
    """The evidence in the form of interface.md; without a ``divergence``, headers and proofs are empty."""
    headers: list[list[object]] = []
    proofs: dict[str, list[str]] = {"held": [], "offered": []}
    if divergence is not None and held.size != offered.size:
        check_divergence(held, offered, divergence)
        texts = divergence.held_header.decode("utf-8"), divergence.offered_header.decode("utf-8")
        headers = [[divergence.seq, *texts]]
        proofs = {
            "held": [b64url_encode(step) for step in divergence.held_path],
            "offered": [b64url_encode(step) for step in divergence.offered_path],
        }
    return {
        "participant": held.participant,
        "held": held.token,
        "offered": offered.token,
        "configurations": [each.token for each in select_configurations(configurations, {held.kid, offered.kid})],
        "headers": headers,
        "proofs": proofs,
    }


def select_configurations(configurations: Sequence[NodeConfiguration], kids: set[str]) -> list[NodeConfiguration]:
    """Of all accepted ones, oldest first, those that prove these operating keys to be the participant's.

    For each key the first that lists it, every one with which the federation keys changed, and the newest; what stood
    before a break in the chain (an anchor vouched for new keys) is left out where it is not needed.
    """
    chosen: list[NodeConfiguration] = []
    missing, last = set(kids), None
    for configuration in configurations:
        listed = missing & configuration.operating_keys.keys()
        if listed or last != configuration.federation_keys.keys():
            chosen.append(configuration)
        missing -= listed
        last = configuration.federation_keys.keys()
    if configurations and chosen[-1] is not configurations[-1]:
        chosen.append(configurations[-1])
    return _unbroken(chosen, kids)


def _unbroken(links: list[NodeConfiguration], kids: set[str]) -> list[NodeConfiguration]:
    """The links after the last break, where they list all the keys; else all links."""
    breaks = [
        number for number, (before, after) in enumerate(pairwise(links), 1) if after.kid not in before.federation_keys
    ]
    rest = links[breaks[-1] :] if breaks else links
    listed = set(chain.from_iterable(each.operating_keys for each in rest))
    return rest if kids <= listed else links


def is_complete(evidence: Mapping[str, Any]) -> bool:
    """Whether the headers are there, or none are needed."""
    return bool(evidence["headers"]) or _size(evidence["held"]) == _size(evidence["offered"])


def _size(token: str) -> int:
    return read_checkpoint(token).size


def read_evidence(text: bytes) -> Verdict:
    """The verdict on a file of evidence, whatever it holds."""
    try:
        return check_evidence(parse_json(text, "evidence"))
    except FederationError as error:
        return Verdict(None, fault=error.detail)


def check_evidence(evidence: object) -> Verdict:
    """What the evidence proves, from its bytes alone."""
    participant = None
    try:
        members = _members(evidence)
        participant = members["participant"]
        configurations = _verify_configurations(members["configurations"], participant)
        held = _verify_signed(members["held"], configurations, "held")
        offered = _verify_signed(members["offered"], configurations, "offered")
        _check_contradiction(held, offered, members)
    except FederationError as error:
        return Verdict(participant, fault=error.detail)
    first, signers = configurations[0], _signers(configurations, {held.kid, offered.kid})
    return Verdict(participant, first.entity_id, held, offered, first.kid, signers)


def _signers(configurations: Sequence[NodeConfiguration], kids: set[str]) -> tuple[str, ...]:
    """The signer of each configuration from which on the chain lists both operating keys: a check of its own.

    Nothing that stands before it is needed then, so whoever knows that key has the proof. A key that an earlier
    configuration merely lists proves nothing.
    """
    starts = range(len(configurations))
    listed = ({kid for each in configurations[start:] for kid in each.operating_keys} for start in starts)
    found = [each.kid for each, keys in zip(configurations, listed, strict=True) if kids <= keys]
    return tuple(dict.fromkeys(found))


def _members(evidence: object) -> dict[str, Any]:
    """The members, of the right kinds (FederationError ``malformed``)."""
    if not isinstance(evidence, dict) or evidence.keys() != set(MEMBERS):
        raise _malformed(f"expected an object of exactly {', '.join(MEMBERS)}")
    texts = [evidence["participant"], evidence["held"], evidence["offered"], *_list(evidence["configurations"])]
    if not all(isinstance(text, str) for text in texts):
        raise _malformed("expected participant, held, offered and each configuration to be texts")
    if not isinstance(evidence["proofs"], dict) or evidence["proofs"].keys() != {"held", "offered"}:
        raise _malformed("expected proofs of exactly held and offered")
    return evidence


def _list(value: object) -> list[Any]:
    if not isinstance(value, list) or len(value) > _MAX_CONFIGURATIONS:
        raise _malformed(f"expected a list of at most {_MAX_CONFIGURATIONS}, found {str(value)[:40]}")
    return value


def _malformed(detail: str) -> FederationError:
    return FederationError("malformed", detail)


def _verify_configurations(tokens: Sequence[str], participant: str) -> list[NodeConfiguration]:
    """The configurations: of one node and participant, each signed by a federation key of the one before."""
    if not tokens:
        raise FederationError("unknown_key", "expected the configurations that hold the keys, found none")
    first = read_configuration(tokens[0])
    keys, verified = first.federation_keys, []
    for number, token in enumerate(tokens, 1):
        try:
            configuration = verify_configuration(
                token,
                keys=keys,
                now=read_configuration(token).issued_at,
                entity_id=first.entity_id,
                participant=participant,
                insecure_urls=True,
                relayed=True,
            )
        except FederationError as error:
            raise FederationError(error.code, f"configuration {number} of {len(tokens)}: {error.detail}") from error
        keys = configuration.federation_keys
        verified.append(configuration)
    return verified


def _verify_signed(token: str, configurations: Sequence[NodeConfiguration], which: str) -> Checkpoint:
    """A checkpoint, proven by an operating key that one of the configurations lists, whenever that was."""
    keys: dict[str, PublicKey] = {}
    for configuration in configurations:
        keys |= configuration.operating_keys
    first = configurations[0]
    try:
        return verify_checkpoint(
            token,
            entity_id=first.entity_id,
            participant=first.participant,
            keys=keys,
            now=read_checkpoint(token).issued_at,
            relayed=True,
        )
    except FederationError as error:
        raise FederationError(error.code, f"the {which} checkpoint: {error.detail}") from error


def _check_contradiction(held: Checkpoint, offered: Checkpoint, members: Mapping[str, Any]) -> None:
    """Two roots at one size, or at two sizes two headers in one place."""
    if held.size == offered.size:
        if held.root == offered.root:
            raise LogIntegrityError("root_mismatch", f"both checkpoints give one root at size {held.size}: no fork")
        return
    check_divergence(held, offered, _read_divergence(members))


def _read_divergence(members: Mapping[str, Any]) -> Divergence:
    match members["headers"]:
        case [[int(seq), str(mine), str(theirs)]] if not isinstance(seq, bool):
            paths = members["proofs"]
            return Divergence(
                seq,
                mine.encode("utf-8"),
                theirs.encode("utf-8"),
                _hashes(paths["held"]),
                _hashes(paths["offered"]),
            )
        case []:
            raise _malformed(
                "the headers of the offered history could not be had yet, so the two checkpoints of different sizes "
                "prove nothing by themselves: sync again and export anew"
            )
    raise _malformed("expected headers as one [seq, header of held, header of offered]")


def _hashes(path: object) -> tuple[bytes, ...]:
    steps = _list(path)
    if not all(isinstance(step, str) for step in steps):
        raise _malformed("expected proofs as lists of hashes in base64url")
    return tuple(b64url_decode(step) for step in steps)


def check_divergence(held: Checkpoint, offered: Checkpoint, divergence: Divergence) -> None:
    """Two different headers at one place, each proven under its root (LogIntegrityError ``root_mismatch``)."""
    if divergence.held_header == divergence.offered_header:
        raise LogIntegrityError("root_mismatch", f"the two headers at {divergence.seq} are one and the same")
    sides = (
        (held, divergence.held_header, divergence.held_path, "held"),
        (offered, divergence.offered_header, divergence.offered_path, "offered"),
    )
    for checkpoint, header, path, which in sides:
        try:
            verify_inclusion(leaf_hash(header), divergence.seq, checkpoint.size, path, checkpoint.root)
        except LogIntegrityError as error:
            raise LogIntegrityError(error.code, f"the header of the {which} history: {error.detail}") from error
