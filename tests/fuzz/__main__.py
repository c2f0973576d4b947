"""``make fuzz``: the fuzz tests again and again with other examples, until the time is over; then the figures.

    python -m tests.fuzz [MINUTES]

Exit status 1 where an example failed; its output says which, and with which seed it comes again.
"""

import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from itertools import cycle
from pathlib import Path

FILES = sorted(Path("tests/fuzz").glob("test_*.py"))
ENDLESS = 3600
"""Seconds after which a file is believed to hang."""


def run_file(path: Path, seed: int, figures: Path) -> str | None:
    """Run one file with one seed; its output where something failed."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", str(path)]
    environment = os.environ | {"FUZZ_PROFILE": "long", "FUZZ_FIGURES": str(figures)}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=ENDLESS, check=False)
    except subprocess.TimeoutExpired:
        return f"{path} did not end within {ENDLESS} s with the seed {seed}"
    return None if done.returncode == 0 else f"{path} failed with the seed {seed}:\n{done.stdout}{done.stderr}"


def read_figures(path: Path) -> Counter[str]:
    """The examples of all runs, by test."""
    examples: Counter[str] = Counter()
    for line in path.read_text(encoding="utf-8").splitlines():
        examples.update(json.loads(line))
    return examples


def main(minutes: float) -> int:
    """Fuzz for so many minutes."""
    began, failures, runs = time.monotonic(), [], 0
    with tempfile.TemporaryDirectory() as folder:
        figures = Path(folder) / "figures"
        figures.touch()
        for path in cycle(FILES):
            if time.monotonic() - began > minutes * 60:
                break
            failure = run_file(path, secrets.randbelow(2**32), figures)
            runs += 1
            if failure is not None:
                failures.append(failure)
                print(failure, flush=True)
        examples = read_figures(figures)
    answers = {name: number for name, number in examples.items() if name.startswith("API answers")}
    for name in sorted(examples):
        print(f"{examples[name]:>9,}  {name}")
    total = examples.total() - sum(answers.values())
    print(f"{total:>9,}  examples in {runs} runs, {(time.monotonic() - began) / 60:.1f} min, {len(failures)} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else 10))
