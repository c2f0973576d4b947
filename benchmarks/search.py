"""Search as typed, in the memory of one process: three words of a name, the last one unfinished, also misspelt."""

import random
import statistics
import string
import time
from collections.abc import Callable

from benchmarks.measure import Report, Row
from benchmarks.population import REAL_UNITS, directory_of, made_up_units, region
from directory.index import Directory

WORDS = 3
Query = tuple[str, str]
"""What is typed, and the unit that is meant."""


def run(report: Report) -> None:
    rounds, queries = (3, 100) if report.quick else (7, 300)
    for units, goal in ((REAL_UNITS, 2.0), (100_000, 2.0), *(() if report.quick else ((1_000_000, 5.0),))):
        directory, names = directory_of(units), names_of(units)
        size = f"{units:,} units"
        p50, p95, found = measure(directory, names, rounds, queries, typed)
        note = f"p95 {p95:.3g} ms; the unit meant is among the first 20 in {found:.0%}"
        report.add(Row(f"search, three words, {size}", f"p50 ≤ {goal:g} ms", "ms", p50, met=p50 <= goal, note=note))
        p50, p95, found = measure(directory, names, rounds, queries, misspelt)
        note = f"p95 {p95:.3g} ms; the unit meant is among the first 20 in {found:.0%}"
        row = Row(f"the same with a typing error, {size}", "p50 ≤ 25 ms", "ms", p50, met=p50 <= 25, note=note)
        report.add(row)


def names_of(units: int) -> list[tuple[str, list[str]]]:
    """Reference and names of units to search for: all real ones, or a few thousand of the made-up ones."""
    real = [
        (f"{document.participant}:{record}", list(data["name"].values()))
        for document in region()
        for record, data in document.records.items()
        if record.startswith("unit/")
    ]
    sample = made_up_units(min(units - REAL_UNITS, 5_000))
    return real + [(f"{code}:unit/{slug}", list(data["name"].values())) for code, slug, data in sample]


def measure(
    directory: Directory,
    names: list[tuple[str, list[str]]],
    rounds: int,
    queries: int,
    make: Callable[[random.Random, str], str],
) -> tuple[float, float, float]:
    """Medians over the rounds of p50 and p95 in milliseconds, and how often the unit meant was found.

    Each round asks other questions: what the index remembers of the last ones would flatter it.
    """
    halves, tails, found = [], [], 0
    for number in range(rounds):
        rng = random.Random(number)
        times = []
        for _ in range(queries):
            ref, texts = rng.choice(names)
            text = make(rng, rng.choice(texts))
            start = time.perf_counter()
            hits = directory.search(text)
            times.append((time.perf_counter() - start) * 1000)
            found += any(hit.ref == ref for hit in hits)
        cuts = statistics.quantiles(times, n=20)
        halves.append(statistics.median(times))
        tails.append(cuts[18])
    return statistics.median(halves), statistics.median(tails), found / rounds / queries


def typed(rng: random.Random, name: str) -> str:
    """Three words of a name in its order, the last of the name among them and cut short."""
    words = name.split()
    if len(words) > WORDS:
        words = [words[place] for place in sorted(rng.sample(range(len(words) - 1), WORDS - 1))] + [words[-1]]
    last = words[-1]
    words[-1] = last[: max(3, len(last) - rng.randrange(4))]
    return " ".join(words)


def misspelt(rng: random.Random, name: str) -> str:
    """The same with one letter left out, doubled, swapped or replaced in one of the longer words."""
    words = typed(rng, name).split()
    longer = [place for place, word in enumerate(words) if len(word) >= 5] or [0]
    chosen = rng.choice(longer)
    word = words[chosen]
    at = rng.randrange(1, max(2, len(word) - 1))
    letter = rng.choice(string.ascii_lowercase)
    words[chosen] = rng.choice(
        (
            word[:at] + word[at + 1 :],
            word[:at] + word[at] + word[at:],
            word[: at - 1] + word[at : at + 1] + word[at - 1 : at] + word[at + 1 :],
            word[:at] + letter + word[at + 1 :],
        )
    )
    return " ".join(words)
