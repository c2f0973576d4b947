"""One search key for every script and spelling of the region (directory.md, section 4, text search).

``Preševo``, ``Прешево``, ``Presevo`` and ``Preshevo`` fold to one key. It takes two steps:

1. *plain*: small Latin letters and digits. Cyrillic and Greek by our own tables, because one letter is read differently
   from language to language and general tables follow Russian; everything else by anyascii.
2. *sound*: letter groups that the languages of the region write for one sound are joined (``sh`` ``sz`` → ``s``, ``dj``
   → ``d``), ``j`` and ``y`` become ``i``, double letters single. No key is meant to be read.

Both steps work word by word from left to right, so the key of an unfinished word nearly always begins the key of the
finished one.
"""

import functools
import re
import unicodedata

from anyascii import anyascii

_CYRILLIC = {
    **dict(zip("абвгдежзијклмнопрстуфхцчш", "abvgdezzijklmnoprstufhccs", strict=True)),
    **{"ђ": "dj", "ћ": "c", "љ": "lj", "њ": "nj", "џ": "dz", "ѓ": "gj", "ќ": "kj", "ѕ": "dz"},
    **{"й": "j", "щ": "st", "ъ": "a", "ь": "", "ю": "ju", "я": "ja", "ѝ": "i", "ѐ": "e"},
    **{"ё": "jo", "ы": "i", "э": "e", "є": "je", "і": "i", "ї": "ji", "ґ": "g"},
}
_LATIN = {"đ": "dj", "ð": "dj", "ǆ": "dz", "ǳ": "dz", "ǉ": "lj", "ǌ": "nj", "’": "", "ʼ": ""}
_LETTERS = str.maketrans({**_CYRILLIC, **_LATIN})

_GREEK_ACCENTS = str.maketrans("άέήίόύώΐΰ", "αεηιουωϊϋ")
_GREEK_LETTERS = str.maketrans(
    {
        **dict(zip("αβγδεζηικλμνξοπρστυφω", "avgdeziiklmnxoprstyfo", strict=True)),
        **{"θ": "th", "χ": "ch", "ψ": "ps", "ϊ": "i", "ϋ": "i"},
    }
)
_GREEK = re.compile("[α-ω]")
# As the road signs write it, and as it is heard: Κήποι is Kipoi and Kipi.
_GREEK_WRITTEN = {"ου": "ou", "αυ": "av", "ευ": "ev", "ηυ": "iv", "μπ": "b", "γκ": "g", "γγ": "ng"}
_GREEK_HEARD = {**_GREEK_WRITTEN, "οι": "i", "ει": "i", "υι": "i", "αι": "e", "ντ": "d", "χ": "h"}

_ACCENTS = re.compile("[\u0300-\u036f]+")
_WORD = re.compile(r"[a-z0-9]+")

_SOUNDS = {
    **{"sch": "s", "sh": "s", "sz": "s", "zh": "z", "zs": "z", "x": "ks"},
    **{"dz": "z", "dzh": "z", "xh": "z"},
    **{"tch": "c", "ch": "c", "cs": "c", "cz": "c", "ts": "c", "tz": "c"},
    **{"th": "t", "dh": "d", "gh": "g", "kh": "h", "ph": "f", "q": "k", "w": "v"},
    **{"ou": "u", "ae": "a", "oe": "o", "ue": "u", "j": "i", "y": "i"},
    **{f"{letter}j": letter for letter in "dgkln"},
}
_SOUND = re.compile("|".join(sorted(_SOUNDS, key=len, reverse=True)))
# Gyueshevo, magyar: here y softens; in Nymfaia it is a vowel.
_SOFTENING = re.compile(r"(?<=[dgkln])y(?=[aeiou])")
_DOUBLE = re.compile(r"([a-z])\1+")

_ROMAN_NUMBERS = {"i": "1", "ii": "2", "iii": "3", "iv": "4", "v": "5"}


def fold(text: str) -> str:
    """Return the search key of a text: its words by their sound, joined by single spaces; empty without any."""
    return " ".join(_sound(word) for word in _plain(text, _GREEK_WRITTEN))


def fold_words(text: str) -> tuple[str, ...]:
    """Return every key under which a text's words are found, each once.

    Beside the sound these are the plain spelling, for typing errors inside a letter group, Greek as it is heard, and
    the digit of a small Roman number.
    """
    return tuple(dict.fromkeys(key for keys in fold_alternatives(text) for key in keys))


def fold_alternatives(text: str) -> list[tuple[str, ...]]:
    """Return the keys of each word of a text, in order; the first of each word is its sound."""
    written = _plain(text, _GREEK_WRITTEN)
    if text.isascii() or not _GREEK.search(unicodedata.normalize("NFD", text).casefold()):
        return [_keys(word) for word in written]
    # Letter by letter as well, for typing errors that take a group apart.
    readings = (written, _plain(text, _GREEK_HEARD), _plain(text, {}))
    return [tuple(dict.fromkeys(key for word in words for key in _keys(word))) for words in zip(*readings, strict=True)]


def _plain(text: str, greek: dict[str, str]) -> list[str]:
    if text.isascii():
        return _WORD.findall(text.lower())
    text = unicodedata.normalize("NFC", unicodedata.normalize("NFC", text).casefold())
    # Our own letters first, while they are whole; accents then fall off what is left.
    text = _from_greek(text, greek).translate(_LETTERS)
    text = _ACCENTS.sub("", unicodedata.normalize("NFD", text))
    return _WORD.findall(text if text.isascii() else anyascii(text).lower())


def _from_greek(text: str, groups: dict[str, str]) -> str:
    if not _GREEK.search(text):
        return text
    text = text.translate(_GREEK_ACCENTS)
    for group, latin in groups.items():
        text = text.replace(group, latin)
    return text.translate(_GREEK_LETTERS)


@functools.lru_cache(maxsize=65_536)
def _keys(word: str) -> tuple[str, ...]:
    keys = [_sound(word), word]
    if word in _ROMAN_NUMBERS:
        keys.append(_ROMAN_NUMBERS[word])
    return tuple(dict.fromkeys(keys))


@functools.lru_cache(maxsize=65_536)
def _sound(word: str) -> str:
    if word in _ROMAN_NUMBERS:
        return word
    word = _SOUND.sub(lambda found: _SOUNDS[found[0]], _SOFTENING.sub("", word))
    return _DOUBLE.sub(_single, word)


def _single(run: re.Match[str]) -> str:
    """One letter for two; a longer run is no spelling of anything, and stays."""
    return run[1] if len(run[0]) == 2 else run[0]
