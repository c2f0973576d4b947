"""A sorted list of words: which begin with what was typed, and which would but for one typing error."""

from bisect import bisect_left
from collections.abc import Iterator

# Follows every letter that a folded word may have.
_AFTER = "\x7f"
_SHORTEST_FORGIVEN = 2


class WordList:
    """Words of small ASCII letters and digits, kept sorted; additions are sorted in when they are first needed."""

    def __init__(self) -> None:
        self._words: list[str] = []
        self._unsorted: list[str] = []

    def add(self, word: str) -> None:
        """Add a word that is not in the list yet."""
        self._unsorted.append(word)

    def beginning_with(self, typed: str) -> list[str]:
        """Return the words that begin with what was typed, in order."""
        first, last = self._range(typed)
        return self._words[first:last]

    def misspelt(self, typed: str) -> list[str]:
        """Return what may have been meant, each the beginning of a word in the list.

        One letter left out, added, changed, or swapped with its neighbour. A single letter is not forgiven:
        everything is one error away from it.
        """
        if len(typed) < _SHORTEST_FORGIVEN:
            return []
        meant = {form for form in self._one_error_away(typed) if form != typed and self._has(form)}
        return sorted(meant)

    def _range(self, typed: str) -> tuple[int, int]:
        if self._unsorted:
            # Nearly sorted input: linear. Assigned whole, so that a reader never sees a list being sorted.
            self._words, self._unsorted = sorted(self._words + self._unsorted), []
        return bisect_left(self._words, typed), bisect_left(self._words, typed + _AFTER)

    def _has(self, typed: str) -> bool:
        first, last = self._range(typed)
        return first < last

    def _one_error_away(self, typed: str) -> Iterator[str]:
        for place in range(len(typed) + 1):
            head, tail = typed[:place], typed[place:]
            # An error further right would leave this beginning as it is, and no word has it.
            if not self._has(head):
                return
            yield head + tail[1:]
            yield head + tail[1:2] + tail[:1] + tail[2:]
            for letter in self._letters_after(head):
                yield head + letter + tail[1:]
                yield head + letter + tail

    def _letters_after(self, head: str) -> Iterator[str]:
        place, last = self._range(head)
        while place < last:
            letter = self._words[place][len(head) : len(head) + 1]
            yield letter
            place = bisect_left(self._words, head + letter + _AFTER, place, last) if letter else place + 1
