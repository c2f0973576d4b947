"""``python -m benchmarks.reliability [--quick] [PART …]``: repeat the figures of docs/reliability.md, one table."""

import argparse
import os
import time

from benchmarks.measure import machine
from benchmarks.reliability import counts, crowd, fuzz, gossip, long_log, revocation, rotations, sweep
from benchmarks.reliability.figures import HEADING, Options

PARTS = {
    "cases": counts.run,
    "revocation": revocation.run,
    "rotations": rotations.run,
    "crowd": crowd.run,
    "flood": long_log.run_flood,
    "readers": long_log.run_readers,
    "verify": long_log.run_verification,
    "gossip": gossip.run,
    "sweep": sweep.run,
    "fuzz": fuzz.run,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reliability", description=__doc__)
    parser.add_argument("parts", nargs="*", metavar="PART", help=f"all by default: {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="smaller sizes, fewer rounds, no sweep")
    parser.add_argument("--seeds", type=int, default=20, help="cases of the gossip simulation (20)")
    parser.add_argument("--rounds", type=int, default=3, help="revocations in a row (3)")
    parser.add_argument("--minutes", type=float, default=10, help="how long is fuzzed (10)")
    asked = parser.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        parser.error(f"no part called {', '.join(sorted(unknown))}; there are {', '.join(PARTS)}")
    print("; ".join(f"{name} {value}" for name, value in machine().items()))
    print(time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()) + f", load before {os.getloadavg()[0]:.1f}")
    print(HEADING, flush=True)
    for part in asked.parts or PARTS:
        PARTS[part](Options(asked.quick, asked.seeds, asked.rounds, asked.minutes))


if __name__ == "__main__":
    main()
