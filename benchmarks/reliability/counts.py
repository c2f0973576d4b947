"""How many cases there are of each group: taken from the tests that pytest collects, never typed by hand.

``python -m benchmarks.reliability.counts`` writes them into docs/reliability.md; a test keeps them equal.
"""

import json
import re
from collections import Counter

from benchmarks.reliability.figures import ROOT, Options, collected, show

LETTERS = {
    "checkpoints, logs, tokens, keys (C)": ("c", "tests/abuse"),
    "entries and parsers (E)": ("e", "tests/abuse"),
    "transport (T)": ("t", "tests/abuse"),
    "our own (X)": ("x", "tests/abuse"),
    "faults (F)": ("f", "tests/faults"),
}
"""Group → the letter of its cases, and where they are."""
PAGE = ROOT / "docs/reliability.md"


def count_cases() -> dict[str, tuple[int, int]]:
    """Of each group: cases, and tests run (a case has several variants, and some run on two databases)."""
    names = collected("tests/abuse", "tests/faults", "tests/vectors", "tests/conformance")
    counts = {}
    for group, (letter, folder) in LETTERS.items():
        cases: Counter[str] = Counter()
        for name in names:
            test = name.partition("::test_")[2].partition("[")[0]
            if name.startswith(f"{folder}/"):
                cases.update(set(re.findall(rf"(?:^|_)({letter}\d\d)(?=_)", test)))
        counts[group] = len(cases), _tests_of(letter, folder, names)
    vectors, second = "tests/vectors/", "tests/conformance/test_second_vectors.py"
    examples = count_examples()
    counts["vectors, the product"] = examples, sum(name.startswith(vectors) for name in names)
    counts["vectors, the second node"] = examples, sum(name.startswith(second) for name in names)
    both = ("test_product.py", "test_product_peering.py")
    for what, files in {
        "product and second node together": both,
        "the second node by itself": ("test_second_node.py", "test_second_peering.py"),
        "spoiled by chance, product beside second node": ("test_agreement.py",),
    }.items():
        found = [name for name in names if name.startswith(tuple(f"tests/conformance/{file}::" for file in files))]
        counts[what] = len({name.partition("[")[0] for name in found}), len(found)
    return counts


def _tests_of(letter: str, folder: str, names: list[str]) -> int:
    begins = re.compile(rf"{folder}/.*::test_{letter}\d\d_")
    return sum(begins.match(name) is not None for name in names)


def count_examples() -> int:
    """Signed or spoiled examples in all files of vectors: every object that says what must be answered to it."""
    return sum(_examples(json.loads(path.read_text("utf-8"))) for path in (ROOT / "tests/vectors").glob("*.json"))


def _examples(value: object) -> int:
    if isinstance(value, list):
        return sum(map(_examples, value))
    if isinstance(value, dict):
        return ("expect" in value and "name" in value) + sum(map(_examples, value.values()))
    return 0


def run(options: Options) -> None:
    for group, (cases, tests) in count_cases().items():
        show("cases", group, f"{cases} cases, {tests} tests")


def write_counts(page: str, counts: dict[str, tuple[int, int]]) -> str:
    """The page with the rows of these groups set right; ValueError where it has no row of a group."""
    for group, (cases, tests) in counts.items():
        row = re.compile(rf"^(\| {re.escape(group)} \|) [^|]* \| [^|]* \|", re.MULTILINE)
        page, found = row.subn(rf"\1 {cases} | {tests} |", page)
        if found != 1:
            raise ValueError(f"expected one row of {group!r} in {PAGE.name}, found {found}")
    return page


if __name__ == "__main__":
    PAGE.write_text(write_counts(PAGE.read_text(encoding="utf-8"), count_cases()), encoding="utf-8")
