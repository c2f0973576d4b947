"""One case: who lies and how, what goes wrong with the honest, and what must come of it.

1. All nodes follow all others, and are well (``world.prepare``).
2. Incidents are drawn: some origins fork, rewrite, roll back, freeze or withhold; honest nodes are restored from a
   backup, alter what they relay, have a wrong clock, are interrupted while they publish, or rotate their keys.
3. A round in which everybody believes what is shown, and a round of gossip. By its end somebody has found every fork.
4. Everybody does what was passed on. By then all know.
5. What was wrong with the honest is mended, and a round later all hold all that the honest ones have.
"""

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from directory.database import reading
from federation.disputes import load_disputes
from federation.evidence import check_evidence
from sync.status import load_status
from tests import fork_checker
from tests.simulation.world import World, WorldNode
from tests.simulators.node_simulator import SimulatedNode

HOUR = dt.timedelta(hours=1)
LIARS = 4
MENDED = 5


@dataclass
class Figures:
    """What a case, or many of them, came to."""

    cases: int = 0
    seeded: Counter[str] = field(default_factory=Counter)
    """Incidents, by kind."""
    forks: int = 0
    found_while_believed: int = 0
    found_by_gossip: int = 0
    not_found: list[str] = field(default_factory=list)
    not_known_to_all: list[str] = field(default_factory=list)
    falsely_accused: list[str] = field(default_factory=list)
    not_converged: list[str] = field(default_factory=list)
    not_proven: list[str] = field(default_factory=list)
    pulls_of_honest_logs: int = 0

    @property
    def faults(self) -> list[str]:
        """Everything that must not be."""
        return [
            *(f"not found within a round of gossip: {case}" for case in self.not_found),
            *(f"not known to all after it was passed on: {case}" for case in self.not_known_to_all),
            *(f"falsely accused: {case}" for case in self.falsely_accused),
            *(f"not converged: {case}" for case in self.not_converged),
            *(f"evidence that proves nothing: {case}" for case in self.not_proven),
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "cases": self.cases,
            "incidents": dict(sorted(self.seeded.items())),
            "forks_seeded": self.forks,
            "forks_found_while_believed": self.found_while_believed,
            "forks_found_in_one_round_of_gossip": self.found_by_gossip,
            "forks_not_found": len(self.not_found),
            "forks_not_known_to_all_after_passing_on": len(self.not_known_to_all),
            "false_accusations": len(self.falsely_accused),
            "honest_logs_compared": self.pulls_of_honest_logs,
            "honest_logs_not_converged": len(self.not_converged),
            "evidence_not_proven": len(self.not_proven),
        }


class Case:
    """One seed."""

    def __init__(self, folder: Path, prepared: Path, seed: int, figures: Figures) -> None:
        self.world = World(folder, prepared, seed)
        self.chance = self.world.chance
        self.seed = seed
        self.figures = figures
        self.forked: set[str] = set()
        self.liars: set[str] = set()
        self.told: dict[str, WorldNode] = {}
        """The one node that was sent a smaller checkpoint of another history, by the liar's code."""

    def run(self) -> None:
        try:
            self._run()
        finally:
            self.world.close()

    def _run(self) -> None:
        world, figures = self.world, self.figures
        figures.cases += 1
        self._draw_incidents()
        shown = {code for code in self.forked if self._is_shown(world[code])}
        figures.forks += len(shown)
        self._pass_on(world.sync_round)
        self._restore_from_backups()
        early = {code for code in shown if self._who_knows(code)}
        self._pass_on(world.sync_round)
        found = {code for code in shown if self._who_knows(code)}
        figures.found_while_believed += len(early)
        figures.found_by_gossip += len(found - early)
        figures.not_found += [self._name(code) for code in shown - found]
        for _ in range(2):  # what was posted, and what came of that
            world.do_what_is_wanted()
        self._check_all_know(found)
        self._check_honest()
        self._mend()
        self._pass_on(world.sync_round)
        self._check_honest()
        self._check_converged()

    def _pass_on(self, work: Callable[[], object]) -> None:
        self.world.pass_time(HOUR)
        work()

    def _name(self, code: str) -> str:
        return f"{code} in case {self.seed}"

    # What goes wrong

    def _draw_incidents(self) -> None:
        nodes = self.chance.sample(self.world.nodes, len(self.world.nodes))
        lies = [
            self._split,
            self._split,
            self._rewrite,
            self._post_smaller,
            self._roll_back,
            self._freeze,
            self._withhold,
        ]
        for node, incident in zip(nodes[:LIARS], self.chance.sample(lies, LIARS), strict=True):
            self.liars.add(node.code)
            self._carry_out(node, incident)
        mishaps = [
            self._restore,
            self._restore_follower,
            self._alter,
            self._clock_ahead,
            self._clock_of_follower,
            self._interrupt,
            self._rotate,
            self._be_silent,
            self._rotate_federation_key,
        ]
        for node in nodes[LIARS:]:
            node.origin.grow(self.chance.randint(0, 5))
            self._carry_out(node, self.chance.choice(mishaps))

    def _carry_out(self, node: WorldNode, incident: Callable[[WorldNode], None]) -> None:
        self.figures.seeded[incident.__name__.strip("_")] += 1
        incident(node)

    def _split(self, node: WorldNode) -> None:
        """Two histories, each of them consistent, for two parts of the nodes."""
        other = node.origin.copy()
        node.origin.grow(self.chance.randint(1, 6))
        other.grow(self.chance.randint(1, 6), start=1000)
        readers = self.chance.sample(self.world.others(node.code), self.chance.randint(1, 10))
        node.views = {reader.origin.entity_id: other for reader in readers}
        self.forked.add(node.code)

    def _rewrite(self, node: WorldNode) -> None:
        """An entry that everybody holds becomes another."""
        node.origin.rewrite(self.chance.randrange(node.origin.size))
        node.origin.grow(self.chance.choice([0, 1, 5]))
        self.forked.add(node.code)

    def _post_smaller(self, node: WorldNode) -> None:
        """One node is sent a checkpoint of another history, at a size that is long past."""
        other = node.origin.copy()
        other.rewrite(0)
        other.roll_back_to(self.chance.randint(1, node.origin.size - 1))
        self.told[node.code] = self.chance.choice(self.world.others(node.code))
        self.world.post(self.told[node.code], other.served_checkpoint())
        self.forked.add(node.code)

    def _roll_back(self, node: WorldNode) -> None:
        node.origin.roll_back_to(self.chance.randint(0, node.origin.size - 1))

    def _freeze(self, node: WorldNode) -> None:
        node.origin.freeze()

    def _withhold(self, node: WorldNode) -> None:
        """Only some are shown what is new."""
        old = node.origin.copy()
        node.origin.grow(3)
        readers = self.chance.sample(self.world.others(node.code), self.chance.randint(1, 10))
        node.views = {reader.origin.entity_id: old for reader in readers}

    def _restore(self, node: WorldNode) -> None:
        """An honest origin that was restored says nothing of its log until it has compared it with its peers'."""
        node.busy = True

    def _restore_follower(self, node: WorldNode) -> None:
        """A node that is restored after the first round, and has forgotten all that it saw in it."""
        self.world.back_up(node)

    def _is_shown(self, node: WorldNode) -> bool:
        """Whether both histories are shown to somebody who is there: not where one side is silent or misjudges."""
        if node.code in self.told:
            return self.told[node.code].online
        judging = [each for each in self.world.others(node.code) if each.skew >= dt.timedelta(0)]
        views = {id(node.shown_to(each.origin.entity_id)) for each in judging}
        return not node.views or len(views) == 2

    def _restore_from_backups(self) -> None:
        for node in self.world.nodes:
            if node.backup is not None:
                self.world.restore(node)

    def _alter(self, node: WorldNode) -> None:
        """A relay that changes a letter of whatever passes."""
        place = self.chance.randint(20, 400)

        def alter(body: bytes) -> bytes:
            at = place % len(body)
            return body[:at] + (b"A" if body[at : at + 1] != b"A" else b"B") + body[at + 1 :]

        node.alter = alter

    def _clock_ahead(self, node: WorldNode) -> None:
        ahead = int((node.origin.now + 2 * HOUR).timestamp())
        node.origin.checkpoint_claims = {"iat": ahead + 7200, "exp": ahead + 90_000}

    def _clock_of_follower(self, node: WorldNode) -> None:
        node.skew = self.chance.choice([-3, 3]) * HOUR

    def _interrupt(self, node: WorldNode) -> None:
        """Its checkpoint is there, and its entries cannot be had."""
        node.origin.grow(3)
        node.origin.page_lie = lambda start, entries: entries[: max(0, len(entries) - 2)]

    def _rotate(self, node: WorldNode) -> None:
        node.origin.rotate_operating_key(f"{node.code} operating 2")

    def _rotate_federation_key(self, node: WorldNode) -> None:
        node.origin.rotate_federation_key(f"{node.code} federation 2")

    def _be_silent(self, node: WorldNode) -> None:
        node.origin.online = False

    def _mend(self) -> None:
        for node in self.world.nodes:
            node.busy, node.alter, node.skew = False, None, dt.timedelta(0)
            node.origin.online = True
            if node.code not in self.liars:
                node.origin.checkpoint_claims, node.origin.page_lie = {}, None

    # What must come of it

    def _who_knows(self, code: str) -> set[str]:
        """The nodes at which the participant's log is disputed."""
        return {node.code for node in self.world.others(code) if node.follower.head(code).disputed is not None}

    def _check_all_know(self, found: set[str]) -> None:
        for code in found:
            # for a clock that is behind, what was signed lies ahead: such a node learns when its clock is mended
            judging = {node.code for node in self.world.others(code) if node.skew >= dt.timedelta(0)}
            missing = judging - self._who_knows(code)
            if missing:
                self.figures.not_known_to_all.append(f"{self._name(code)}: {sorted(missing)}")
        for node in self.world.nodes:
            self._check_evidence(node)

    def _check_evidence(self, node: WorldNode) -> None:
        with reading(node.follower.engine) as session:
            disputes = load_disputes(session)
        for dispute in disputes:
            proven = check_evidence(dispute.evidence).is_proven
            if proven != dispute.is_complete or (proven and not _proves_to_others(dict(dispute.evidence))):
                self.figures.not_proven.append(f"{self._name(dispute.participant)} at {node.code}")

    def _honest(self) -> list[SimulatedNode]:
        return [node.origin for node in self.world.nodes if node.code not in self.liars]

    def _check_honest(self) -> None:
        """No honest origin is ever accused, and no liar of more than it did."""
        for node in self.world.nodes:
            with reading(node.follower.engine) as session:
                accused = {dispute.participant for dispute in load_disputes(session)}
                withholding = {
                    origin.participant
                    for origin in self._honest()
                    if (status := load_status(session, origin.participant)) is not None and status.withholding
                }
            self.figures.falsely_accused += [
                f"{self._name(code)} by {node.code}" for code in (accused - self.forked) | withholding
            ]

    def _check_converged(self) -> None:
        for node in self.world.nodes:
            for origin in self._honest():
                if origin.participant == node.code:
                    continue
                self.figures.pulls_of_honest_logs += 1
                head = node.follower.head(origin.participant)
                if (head.size, head.root) != (origin.size, origin.root):
                    self.figures.not_converged.append(f"{self._name(origin.participant)} at {node.code}")
        self.chance.choice(self.world.nodes).follower.check_logs()


def _proves_to_others(evidence: dict[str, Any]) -> bool:
    try:
        fork_checker.check(evidence)
    except fork_checker.NotProvenError:
        return False
    return True
