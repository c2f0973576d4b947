"""Which documents have which word, as sets that are integers: bit n stands for document n."""

import re
from array import array
from collections.abc import Iterable, Iterator

# A word in more than one of so many documents keeps its set: it is no bigger than four times its list of numbers.
_FREQUENT = 128
_SOME_BITS = re.compile(rb"[^\0]")


class DocumentSet:
    """A set of documents that changes one at a time and is wanted whole between changes."""

    def __init__(self) -> None:
        self._bytes = bytearray()
        self._bits: int | None = 0

    def add(self, number: int) -> None:
        """Put a document in."""
        place = number >> 3
        if place >= len(self._bytes):
            self._bytes.extend(bytes(place + 1 - len(self._bytes)))
        self._bytes[place] |= 1 << (number & 7)
        self._bits = None

    def remove(self, number: int) -> None:
        """Take out a document that is in."""
        self._bytes[number >> 3] &= ~(1 << (number & 7))
        self._bits = None

    @property
    def bits(self) -> int:
        """The set as an integer."""
        if self._bits is None:
            self._bits = int.from_bytes(self._bytes, "little")
        return self._bits


class Postings:
    """Word → documents that have it. Document numbers only grow; a document is never taken out."""

    def __init__(self) -> None:
        self._numbers: dict[str, array[int]] = {}
        self._frequent: dict[str, tuple[int, int]] = {}
        self._size = 0

    def add(self, word: str, number: int) -> bool:
        """Note that a document, the newest, has a word; return whether it is the first that has it."""
        self._size = number + 1
        numbers = self._numbers.get(word)
        if numbers is None:
            self._numbers[word] = array("I", (number,))
            return True
        numbers.append(number)
        return False

    def having(self, words: Iterable[str]) -> int:
        """Return the documents that have any of some words."""
        joined = 0
        rare: list[array[int]] = []
        for word in words:
            numbers = self._numbers.get(word)
            if numbers is None:
                continue
            if len(numbers) * _FREQUENT > self._size:
                joined |= self._frequent_set(word, numbers)
            else:
                rare.append(numbers)
        return joined | _set_of(rare, self._size) if rare else joined

    def _frequent_set(self, word: str, numbers: "array[int]") -> int:
        counted, bits = self._frequent.get(word, (0, 0))
        if counted < len(numbers):
            bits |= _set_of([numbers[counted:]], self._size)
            self._frequent[word] = (len(numbers), bits)
        return bits


def _set_of(lists: Iterable["array[int]"], size: int) -> int:
    bits = bytearray((size >> 3) + 1)
    for numbers in lists:
        for number in numbers:
            bits[number >> 3] |= 1 << (number & 7)
    return int.from_bytes(bits, "little")


def numbers_in(documents: int) -> Iterator[int]:
    """Yield the numbers of the documents of a set, in order."""
    data = documents.to_bytes((documents.bit_length() + 7) >> 3, "little")
    for found in _SOME_BITS.finditer(data):
        place = found.start()
        yield from (place * 8 + bit for bit in range(8) if data[place] >> bit & 1)
