"""The fault sweep: every write of a publication and of a sync, killed there or answered with an error."""

import re
import subprocess
import sys

from benchmarks.reliability.figures import ROOT, Options, show

_FIGURES = re.compile(r"(\w+)=(\d+)")


def run(options: Options) -> None:
    """One line for each operation and fault, as soon as it was tried at every point; a wrong state ends the sweep."""
    if options.quick:
        show("sweep", "every write", "left out of --quick: it takes many minutes")
        return
    operation = ""
    command = [sys.executable, "-u", "-m", "tests.faults.sweep"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.startswith("  "):
                operation = line.split(" ")[0]
                show("sweep", operation, line.partition(" ")[2].strip())
                continue
            fault, _, told = line.strip().partition(": ")
            figures = ", ".join(f"{number} {name.replace('_', ' ')}" for name, number in _FIGURES.findall(told))
            show("sweep", f"{operation}, {fault}", f"{figures}; {told.rpartition(' in ')[2]}")
    if process.returncode != 0:
        raise SystemExit("the sweep found a state that is neither before nor after, or could not go on: see above")
