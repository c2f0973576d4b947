"""``python -m tests.simulation --seeds N [--first S]``: many cases, and the figures of all of them as JSON."""

import argparse
import json
import logging
import sys
import tempfile
import time
from pathlib import Path

from tests.conftest import create_tables
from tests.simulation.schedule import Case, Figures
from tests.simulation.world import prepare


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=20, metavar="N", help="how many cases (default 20)")
    parser.add_argument("--first", type=int, default=0, metavar="S", help="the first seed (default 0)")
    asked = parser.parse_args()
    logging.disable(logging.CRITICAL)
    figures, started = Figures(), time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        template, prepared = Path(folder) / "template.db", Path(folder) / "prepared"
        create_tables(f"sqlite:///{template}")
        prepared.mkdir()
        prepare(prepared, template)
        for seed in range(asked.first, asked.first + asked.seeds):
            with tempfile.TemporaryDirectory(dir=folder) as case:
                Case(Path(case), prepared, seed, figures).run()
    print(json.dumps(figures.to_json() | {"seconds": round(time.monotonic() - started, 1)}, indent=2))
    for fault in figures.faults:
        print(fault, file=sys.stderr)
    return 1 if figures.faults else 0


sys.exit(main())
