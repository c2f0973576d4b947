"""The gossip simulation over many seeds, and the fault sweep: their own commands, told as lines of the table."""

import json

from benchmarks.reliability.figures import Options, output_of, show


def run(options: Options) -> None:
    """Forks seeded, found and known to all; honest nodes accused; honest logs that ended alike."""
    seeds = 3 if options.quick else options.seeds
    told = json.loads(output_of("-m", "tests.simulation", "--seeds", str(seeds), may_fail=True))
    incidents = sum(told.pop("incidents").values())
    show("gossip", f"{told['cases']} cases of twelve nodes", f"{incidents} incidents")
    for name, value in told.items():
        if name != "cases":
            show("gossip", name.replace("_", " "), f"{value:,}")
