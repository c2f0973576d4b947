"""What the region agreed to believe: rule R1's caps, rule R2's gates and rule R4's orders, read from a policy file.

The shipped file holds what the region's participants may claim at most, the states outside the directory that are on
SIENA, who may speak with whom over what, and in which order channels are tried. A node's operator may name another
file. Nothing of it is code: a new gate between two countries is a new line in the file.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from directory.errors import Fault, InvalidInputError
from directory.values import Participant, Unit
from directory.vocabulary import CHANNELS, CLASSIFICATIONS

SHIPPED = Path(__file__).parent / "data" / "policy.json"
ANYBODY = "*"
ORDERED = ("pccc", "siena", "i247", "selec", "sirene", "liaison", "bilateral")
"""The channels that may stand in an order of channels."""

_RANK = {classification: rank for rank, classification in enumerate(CLASSIFICATIONS)}
_REQUIRED: Mapping[str, type] = {
    "unlisted": str,
    "connections": list,
    "ceilings": dict,
    "raised_ceilings": dict,
    "channel_order": dict,
    "gates": list,
    "siena_outside": list,
    "participants": dict,
}


def carries(ceiling: str, classification: str) -> bool:
    """Whether something of a classification may travel under a ceiling."""
    return _RANK[classification] <= _RANK[ceiling]


def lower(first: str, second: str) -> str:
    """Return the lower of two ceilings."""
    return min(first, second, key=_RANK.__getitem__)


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a gate names in the requested state: one unit by its id, or the unit of a kind."""

    unit: str | None
    kind: str | None


@dataclass(frozen=True, slots=True)
class Gate:
    """Rule R2: what a pair of countries, or a classification, allows.

    ``between`` is a pair (``*``: any other), ``classification`` a level; ``only`` the channels left, if it limits them;
    ``replace`` the channel that stands in another's place; ``addressees`` whom a replacing channel reaches.
    """

    reason: str
    between: tuple[str, str] | None
    classification: str | None
    only: frozenset[str] | None
    replace: Mapping[str, str]
    addressees: Mapping[str, Addressee]

    def concerns(self, asker: str, requested: str) -> bool:
        """Whether the gate stands between two participants, whichever asks."""
        if self.between is None:
            return False
        one, other = self.between
        return {one, other} == {asker, requested} or (other == ANYBODY and one in (asker, requested))

    def addressee(self, requested: str) -> Addressee | None:
        """Return whom the replacing channel reaches in the requested state."""
        return self.addressees.get(requested) or self.addressees.get(ANYBODY)


@dataclass(frozen=True, slots=True)
class CallAhead:
    """Rule R14: who is called where nobody else answers in an urgent case, over what, for whom."""

    participant: str
    kind: str
    channel: str
    membership: str
    classifications: frozenset[str]


@dataclass(frozen=True, slots=True)
class Standing:
    """What counts of a participant's claims: memberships, and per connected channel its ceiling.

    ``without_effect`` says in words what it claims beyond the policy.
    """

    memberships: frozenset[str]
    ceilings: Mapping[str, str]
    without_effect: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """The policy file, read."""

    connections: tuple[str, ...]
    """The channels that need a connection on both sides."""
    ceilings: Mapping[str, str]
    raised_ceilings: Mapping[str, Mapping[str, str]]
    default_order: tuple[str, ...]
    pair_orders: Mapping[frozenset[str], tuple[str, ...]]
    gates: tuple[Gate, ...]
    call_ahead: CallAhead | None
    siena_outside: frozenset[str]
    status_notes: Mapping[str, str]
    caps: Mapping[str, Standing]

    def order(self, asker: str, requested: str) -> tuple[str, ...]:
        """Return the channels in the order in which this pair tries them (R4)."""
        return self.pair_orders.get(frozenset((asker, requested)), self.default_order)

    def pair_gate(self, asker: str, requested: str) -> Gate | None:
        """Return the first gate that stands between two countries (R2)."""
        return next((gate for gate in self.gates if gate.concerns(asker, requested)), None)

    def classification_gate(self, classification: str) -> Gate | None:
        """Return the gate that a classification sets (R2)."""
        return next((gate for gate in self.gates if gate.classification == classification), None)

    def is_on_siena(self, code: str) -> bool:
        """Whether a state that the directory does not hold is on SIENA; it may still be a participant elsewhere."""
        cap = self.caps.get(code)
        return code in self.siena_outside or (cap is not None and "siena" in cap.ceilings)

    def fixed_ceiling(self, channel: str, unit: Unit) -> str:
        """Return the ceiling of a channel that needs no connection, for one unit (R1)."""
        raised = self.raised_ceilings.get(channel, {})
        return next((raised[other] for other in raised if other in unit.channels), self.ceilings[channel])

    def standing(self, participant: Participant) -> Standing:
        """Return what counts of a participant's claims; one that the policy does not list is as it claims (R1)."""
        cap = self.caps.get(participant.code)
        claimed = {c: top for c, top in participant.connections.items() if c in self.connections}
        if cap is None:
            return Standing(participant.memberships, claimed, ())
        granted = {c: lower(top, cap.ceilings[c]) for c, top in claimed.items() if c in cap.ceilings}
        beyond = (*_memberships_beyond(participant, cap), *_connections_beyond(participant.code, claimed, granted))
        return Standing(participant.memberships & cap.memberships, granted, beyond)


def _memberships_beyond(participant: Participant, cap: Standing) -> list[str]:
    return [
        f"{participant.code} claims the membership {name}, which the policy does not grant"
        for name in sorted(participant.memberships - cap.memberships)
    ]


def _connections_beyond(code: str, claimed: Mapping[str, str], granted: Mapping[str, str]) -> list[str]:
    return [
        f"{code} claims {channel} up to {top}, the policy grants {granted.get(channel, 'none')}"
        for channel, top in claimed.items()
        if granted.get(channel) != top
    ]


def load_policy(path: Path | None = None) -> Policy:
    """Read a policy file, the shipped one by default. Raises InvalidInputError naming every fault in it."""
    source = path or SHIPPED
    try:
        document = json.loads(source.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InvalidInputError([Fault("", str(source), f"expected a policy file in JSON: {error}")]) from error
    return parse_policy(document)


def parse_policy(document: object) -> Policy:
    """Read a policy from its JSON value. Raises InvalidInputError naming every fault in it."""
    if not isinstance(document, Mapping):
        raise InvalidInputError([Fault("", document, "expected a policy: an object")])
    try:
        faults = _faults(document)
        if faults:
            raise InvalidInputError(faults)
        return _read_policy(document)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        # Deep within, a member is missing or of another kind; the policy is an operator's own file, so this will do.
        expected = f"expected a policy in the form of the one that is shipped, not this: {error!r}"
        raise InvalidInputError([Fault("", "...", expected[:300])]) from error


def _faults(document: Mapping[str, Any]) -> list[Fault]:
    return _shape_faults(document) or [
        *_ceiling_faults(document),
        *_order_faults(document),
        *_unlisted_faults(document),
        *_gate_faults(document["gates"]),
    ]


def _read_policy(document: Mapping[str, Any]) -> Policy:
    order = document["channel_order"]
    return Policy(
        connections=tuple(document["connections"]),
        ceilings=document["ceilings"],
        raised_ceilings=document["raised_ceilings"],
        default_order=tuple(order["default"]),
        pair_orders={frozenset(pair.split("-")): tuple(own) for pair, own in order.get("pairs", {}).items()},
        gates=tuple(_read_gate(gate) for gate in document["gates"]),
        call_ahead=_read_call_ahead(document.get("call_ahead")),
        siena_outside=frozenset(document["siena_outside"]),
        status_notes=document.get("status_notes", {}),
        caps={
            code: Standing(frozenset(cap["memberships"]), cap["channels"], ())
            for code, cap in document["participants"].items()
        },
    )


def _shape_faults(document: Mapping[str, Any]) -> list[Fault]:
    faults = [
        Fault(f"/{name}", document.get(name), f"expected a JSON {kind.__name__}")
        for name, kind in _REQUIRED.items()
        if not isinstance(document.get(name), kind)
    ]
    if not faults and not isinstance(document["channel_order"].get("default"), list):
        faults.append(Fault("/channel_order/default", None, "expected the default order: a list of channels"))
    if not faults:
        faults += [
            Fault(f"/participants/{code}", cap, "expected an object with memberships (list) and channels (object)")
            for code, cap in document["participants"].items()
            if not _is_cap(cap)
        ]
    return faults


def _is_cap(cap: object) -> bool:
    return (
        isinstance(cap, Mapping)
        and isinstance(cap.get("memberships"), list)
        and isinstance(cap.get("channels"), Mapping)
    )


def _ceiling_faults(document: Mapping[str, Any]) -> list[Fault]:
    """Every ceiling is a classification, and every channel has a ceiling or needs a connection."""
    ceilings = {f"/ceilings/{channel}": top for channel, top in document["ceilings"].items()}
    for code, cap in document["participants"].items():
        ceilings |= {f"/participants/{code}/channels/{channel}": top for channel, top in cap["channels"].items()}
    wrong = [place for place, top in ceilings.items() if top not in _RANK]
    missing = CHANNELS - {*document["connections"], *document["ceilings"]}
    return [
        *(Fault(place, ceilings[place], f"expected one of {', '.join(CLASSIFICATIONS)}") for place in wrong),
        *(Fault("/ceilings", name, "expected a ceiling, or to find it in connections") for name in sorted(missing)),
    ]


def _order_faults(document: Mapping[str, Any]) -> list[Fault]:
    order = document["channel_order"]
    orders = {"default": order["default"], **order.get("pairs", {})}
    return [
        Fault(f"/channel_order/{name}", channel, f"expected one of {', '.join(ORDERED)}")
        for name, channels in orders.items()
        for channel in channels
        if channel not in ORDERED
    ]


def _unlisted_faults(document: Mapping[str, Any]) -> list[Fault]:
    if document["unlisted"] == "as_claimed":
        return []
    return [Fault("/unlisted", document["unlisted"], "expected as_claimed")]


def _gate_faults(gates: Sequence[Any]) -> list[Fault]:
    return [
        Fault(
            f"/gates/{place}", gate, "expected between (two codes) or classification, with only or replace, and reason"
        )
        for place, gate in enumerate(gates)
        if not _is_gate(gate)
    ]


def _is_gate(gate: object) -> bool:
    if not isinstance(gate, Mapping) or not isinstance(gate.get("reason"), str):
        return False
    between = gate.get("between")
    for_somebody = gate.get("classification") in _RANK or (isinstance(between, list) and len(between) == 2)
    return for_somebody and ("only" in gate or "replace" in gate)


def _read_gate(gate: Mapping[str, Any]) -> Gate:
    between = gate.get("between")
    return Gate(
        reason=gate["reason"],
        between=(between[0], between[1]) if between else None,
        classification=gate.get("classification"),
        only=frozenset(gate["only"]) if "only" in gate else None,
        replace=gate.get("replace", {}),
        addressees={
            code: Addressee(whom.get("unit"), whom.get("kind")) for code, whom in gate.get("addressees", {}).items()
        },
    )


def _read_call_ahead(call: Mapping[str, Any] | None) -> CallAhead | None:
    if call is None:
        return None
    return CallAhead(
        participant=call["participant"],
        kind=call["kind"],
        channel=call["channel"],
        membership=call["membership"],
        classifications=frozenset(call["classifications"]),
    )
