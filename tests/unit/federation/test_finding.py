"""What a finding shows of two long values is where they differ."""

from federation.finding import beside, short


def test_the_difference_is_within_what_is_shown() -> None:
    one, two = "a" * 500 + "b" + "c" * 500, "a" * 500 + "d" + "c" * 500
    assert beside(one, two) != beside(two, one)
    assert len(beside(one, two)) <= 201
    assert beside(one, two).startswith("…")


def test_bytes_are_shown_in_hexadecimal() -> None:
    assert beside(b"\x01", b"\x02") == "01"
    assert short(b"\xff" * 500) == "ff" * 100


def test_a_beginning_is_told_from_the_whole() -> None:
    assert beside("abc", "abcd") != beside("abcd", "abc")
