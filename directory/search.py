"""Text search as typed, in the memory of the process (directory.md, section 4).

Every typed word must be found in a document: as a word, as the beginning of one, or as either but for one typing error.
Sets of documents are integers, one bit per document: joining and intersecting them costs the same few microseconds
whether a word is rare or in every document. Documents stand in bins by rank and length, and bins are read in order, so
that the best are found without looking at all that match.
"""

import threading
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, islice

from directory.folding import fold_alternatives
from directory.postings import DocumentSet, Postings, numbers_in
from directory.word_list import WordList

_MOST_WORDS = 8
_LONGEST_QUERY = 200
_LONGEST_NAME = 12
_LEAST_REBUILT = 1024
_FEW = 200
_CACHED_BYTES = 32 * 1024 * 1024

# What a word costs by how it was found; less is better.
_EXACT, _BEGINNING, _MISSPELT, _MISSPELT_BEGINNING = 0, 1, 20, 21


@dataclass(frozen=True, slots=True)
class Hit:
    """A document that was found. ``score`` is 100 where every word was typed as it stands, and falls from there."""

    key: str
    score: int
    payload: object


@dataclass(frozen=True, slots=True)
class _Document:
    key: str
    payload: object
    words: tuple[str, ...]
    names: bytes
    """The mark of each name, one after the other: whole names would take ten times the memory."""
    bin: tuple[int, int]

    def is_found_like(self, other: "_Document") -> bool:
        """Whether the same queries find both, in the same place."""
        return (self.words, self.names, self.bin) == (other.words, other.names, other.bin)

    def has_name(self, mark: bytes) -> bool:
        """Whether one of the names has a mark."""
        return any(self.names[place : place + len(mark)] == mark for place in range(0, len(self.names), len(mark)))


def _read_document(key: str, texts: Iterable[str], payload: object, rank: int) -> _Document:
    names = [words for text in texts if (words := fold_alternatives(text))]
    keys = dict.fromkeys(chain.from_iterable(chain.from_iterable(names)))
    marks = b"".join(map(_mark, names))
    return _Document(key, payload, tuple(keys), marks, (rank, min([_LONGEST_NAME, *map(len, names)])))


def _mark(name: Sequence[tuple[str, ...]]) -> bytes:
    """Return four bytes that tell a name, by the sound of its words, from nearly every other."""
    return zlib.crc32(" ".join(alternatives[0] for alternatives in name).encode()).to_bytes(4, "big")


class SearchIndex:
    """Documents with their words; safe to use from several threads.

    Of the sets that were looked up by the beginning of a word, so many bytes are kept for the next query.
    """

    def __init__(self, cached_bytes: int = _CACHED_BYTES) -> None:
        self._cached_bits = cached_bytes * 8
        self._lock = threading.RLock()
        self._clear()

    def _clear(self) -> None:
        self._documents: dict[int, _Document] = {}
        self._numbers: dict[str, int] = {}
        self._given = 0
        self._postings = Postings()
        self._words = WordList()
        self._bins: dict[tuple[int, int], DocumentSet] = {}
        self._present = DocumentSet()
        self._found: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, key: str, texts: Iterable[str], payload: object = None, rank: int = 0) -> None:
        """Add a document, or replace the one of that key.

        ``texts`` are its names in every language. Among equal matches the lower ``rank`` stands first; ranks are few.
        """
        document = _read_document(key, texts, payload, rank)
        with self._lock:
            number = self._numbers.get(key)
            if number is not None and self._documents[number].is_found_like(document):
                self._documents[number] = document
            else:
                self.remove(key)
                self._insert(document)

    def remove(self, key: str) -> None:
        """Take a document out; a key that is not there is no error."""
        with self._lock:
            number = self._numbers.pop(key, None)
            if number is None:
                return
            # Its postings stay until the next rebuild: what is not present is never found.
            self._present.remove(number)
            self._bins[self._documents.pop(number).bin].remove(number)
            if self._given > _LEAST_REBUILT + 2 * len(self._documents):
                self._rebuild()

    def find(self, query: str, limit: int = 20) -> list[Hit]:
        """Return the documents that have every word typed, best match first, at most ``limit``.

        The order is: fewest typing errors, most whole words, the name typed in full, rank, shorter name, key. Typing
        errors are forgiven, one per word, where the query as it stands leaves room. Of a query the first eight words
        count.
        """
        words = fold_alternatives(query[:_LONGEST_QUERY])[:_MOST_WORDS]
        if not words or limit < 1:
            return []
        hits: list[Hit] = []
        seen = 0
        with self._lock:
            for forgiving in (False, True):
                for cost, documents in sorted(self._matching(words, forgiving).items()):
                    score = 100 - 100 * cost // (len(words) * (_MISSPELT_BEGINNING + 1))
                    for number in self._best(documents & ~seen, words, limit - len(hits)):
                        document = self._documents[number]
                        hits.append(Hit(document.key, score, document.payload))
                    if len(hits) >= limit:
                        return hits
                    seen |= documents
        return hits

    def _insert(self, document: _Document) -> None:
        number = self._given
        self._given += 1
        self._documents[number] = document
        self._numbers[document.key] = number
        for word in document.words:
            if self._postings.add(word, number):
                self._words.add(word)
        self._bins.setdefault(document.bin, DocumentSet()).add(number)
        self._present.add(number)
        self._found.clear()

    def _rebuild(self) -> None:
        documents = list(self._documents.values())
        self._clear()
        for document in documents:
            self._insert(document)

    def _matching(self, words: list[tuple[str, ...]], forgiving: bool) -> dict[int, int]:
        """Return cost → documents that have every word at that cost or less."""
        matching: dict[int, int] = {0: -1}
        for alternatives in words:
            joined: dict[int, int] = {}
            for cost, documents in self._found_as(alternatives, forgiving).items():
                for cost_so_far, so_far in matching.items():
                    both = documents & so_far
                    if both:
                        total = cost + cost_so_far
                        joined[total] = joined.get(total, 0) | both
            matching = joined
        return matching

    def _found_as(self, alternatives: tuple[str, ...], forgiving: bool) -> dict[int, int]:
        """Return cost → documents in which one typed word is found at that cost."""
        beginning = 0
        for typed in alternatives:
            beginning |= self._beginning_with(typed)
        found = {_EXACT: self._postings.having(alternatives), _BEGINNING: beginning}
        return {**found, **self._misspelt(alternatives)} if forgiving else found

    def _misspelt(self, alternatives: tuple[str, ...]) -> dict[int, int]:
        meant: set[str] = set()
        words: set[str] = set()
        for typed in alternatives:
            forms = self._words.misspelt(typed)
            meant.update(forms)
            # What is shorter than four letters begins too many words to forgive an error as well.
            if len(typed) > 3:
                words.update(chain.from_iterable(map(self._words.beginning_with, forms)))
        return {_MISSPELT: self._postings.having(meant), _MISSPELT_BEGINNING: self._postings.having(words)}

    def _beginning_with(self, typed: str) -> int:
        known = self._found.get(typed)
        if known is None:
            known = self._postings.having(self._words.beginning_with(typed))
            if len(self._found) * self._given > self._cached_bits:
                self._found.clear()
            self._found[typed] = known
        return known

    def _best(self, documents: int, words: Sequence[tuple[str, ...]], limit: int) -> list[int]:
        """Return the first of a set: the name typed in full, names of just the typed length, rank, length and key.

        Bin by bin where there are many. Where very many are equal, the earlier added stand for them.
        """
        documents &= self._present.bits
        mark, length = _mark(words), len(words)
        if documents.bit_count() <= _FEW:
            return sorted(numbers_in(documents), key=lambda number: self._order(number, mark, length))[:limit]
        best: list[int] = []
        for place in sorted(self._bins, key=lambda each: (each[1] != length, each)):
            inside = numbers_in(documents & self._bins[place].bits)
            best += sorted(islice(inside, limit + _FEW), key=lambda number: self._order(number, mark, length))
            if len(best) >= limit:
                break
        return best[:limit]

    def _order(self, number: int, mark: bytes, length: int) -> tuple[bool, bool, tuple[int, int], str]:
        document = self._documents[number]
        return not document.has_name(mark), document.bin[1] != length, document.bin, document.key
