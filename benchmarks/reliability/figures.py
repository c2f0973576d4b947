"""A figure with the command that makes it, as one line of a table that can be pasted."""

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
MIB = 1024 * 1024
HEADING = "| part | what | figure |\n| --- | --- | --- |"


@dataclass(frozen=True)
class Options:
    """How much is asked for."""

    quick: bool = False
    seeds: int = 20
    """Cases of the gossip simulation."""
    rounds: int = 3
    """Revocations in a row."""
    minutes: float = 10
    """How long is fuzzed."""

    @property
    def entries(self) -> int:
        """The length of the long log."""
        return 100_000 if self.quick else 1_000_000


def show(part: str, what: str, figure: str) -> None:
    """Print one line as soon as it is known."""
    print(f"| {part} | {what} | {figure} |", flush=True)


def output_of(*arguments: str, may_fail: bool = False) -> str:
    """What ``python ARGUMENTS`` prints, run as a process of its own in the project's folder; its errors are shown."""
    done = subprocess.run([sys.executable, *arguments], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=not may_fail)
    return done.stdout


def collected(*paths: str) -> list[str]:
    """The names of all tests below these paths, as pytest collects them."""
    printed = output_of("-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *paths)
    return re.findall(r"^(tests/\S+\.py::.+)$", printed, re.MULTILINE)


def load_beside() -> str:
    """How busy the machine is with other work."""
    return f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores"
