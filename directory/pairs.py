"""The two sides of a question, and what may pass between them: rules R1 and R2 (directory.md, section 4).

- R1 availability: a channel counts only where both sides are connected, nothing is down, and the classification fits.
- R2 gates: what the policy leaves open between two countries, or for a classification. They stand before all others.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from directory.index import Directory
from directory.policy import Gate, Policy, Standing, carries, lower
from directory.query import Query
from directory.values import Participant, Unit

Downs = frozenset[tuple[str, str]]
"""Outages: (participant, channel)."""


@dataclass(frozen=True, slots=True)
class Removal:
    """The rule that removes a candidate, and why in words."""

    rule: str
    reason: str


@dataclass(frozen=True, slots=True)
class Pair:
    """Asker and requested participant with what the policy lets count of their claims."""

    query: Query
    directory: Directory
    policy: Policy
    downs: Downs
    asker: Participant
    requested: Participant
    asker_standing: Standing
    requested_standing: Standing
    gates: tuple[Gate, ...]

    def both_members(self, membership: str) -> bool:
        """Whether both sides are members."""
        return not self.outside(membership)

    def outside(self, membership: str) -> list[str]:
        """Return the sides that are not members."""
        sides = ((self.asker, self.asker_standing), (self.requested, self.requested_standing))
        return [side.code for side, standing in sides if membership not in standing.memberships]

    def both_on(self, channel: str) -> bool:
        """Whether both sides are connected to a channel, working or not."""
        return channel in self.asker_standing.ceilings and channel in self.requested_standing.ceilings

    def shared_ceiling(self, channel: str) -> str:
        """Return the lower of the two ceilings of a channel that both sides are connected to."""
        return lower(self.asker_standing.ceilings[channel], self.requested_standing.ceilings[channel])

    def with_requested(self, other: Participant) -> "Pair":
        """Return the same question to somebody else, under the same gates."""
        return replace(self, requested=other, requested_standing=self.policy.standing(other))


def make_pair(query: Query, directory: Directory, policy: Policy, downs: Downs) -> Pair:
    """Return the two sides of a question; both have to be in the directory."""
    asker, requested = directory.participants[query.asker], directory.participants[query.country]
    gates = (policy.pair_gate(asker.code, requested.code), policy.classification_gate(query.classification))
    return Pair(
        query=query,
        directory=directory,
        policy=policy,
        downs=downs,
        asker=asker,
        requested=requested,
        asker_standing=policy.standing(asker),
        requested_standing=policy.standing(requested),
        gates=tuple(gate for gate in gates if gate is not None),
    )


def gate_removal(gates: Iterable[Gate], channel: str) -> Removal | None:
    """R2: what a gate does not leave open is closed."""
    for gate in gates:
        if gate.only is not None and channel not in gate.only:
            return Removal("R2", gate.reason)
    return None


def connection_removal(pair: Pair, channel: str) -> Removal | None:
    """R1: connected on both sides, not down, and the classification within the lower of the two ceilings."""
    needs_connection = channel in pair.policy.connections
    sides = (pair.asker.code, pair.requested.code)
    if needs_connection:
        for side, standing in zip(sides, (pair.asker_standing, pair.requested_standing), strict=True):
            if channel not in standing.ceilings:
                return Removal("R1", f"{side} is not connected to {channel}")
    for side in sides:
        if (side, channel) in pair.downs:
            return Removal("R1", f"{channel} is down in {side}")
    if needs_connection:
        return _ceiling_removal(pair.shared_ceiling(channel), channel, pair.query.classification)
    return None


def unit_ceiling_removal(pair: Pair, channel: str, unit: Unit) -> Removal | None:
    """R1: a channel without a connection has a fixed ceiling; that of a common centre depends on its desk."""
    if channel in pair.policy.connections:
        return None
    return _ceiling_removal(pair.policy.fixed_ceiling(channel, unit), channel, pair.query.classification)


def _ceiling_removal(ceiling: str, channel: str, classification: str) -> Removal | None:
    if carries(ceiling, classification):
        return None
    return Removal("R1", f"{channel} carries up to {ceiling} here, the request is {classification}")


def why_available(pair: Pair, channel: str) -> str:
    """Return in words why rule R1 lets a channel count."""
    if channel in pair.policy.connections:
        return f"R1: both sides are connected to {channel}, up to {pair.shared_ceiling(channel)} between them"
    return f"R1: {channel} needs no connection and may carry {pair.query.classification}"
