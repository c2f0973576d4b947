"""Sets of documents as integers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.postings import DocumentSet, Postings, numbers_in

numbers = st.sets(st.integers(0, 3000), max_size=50)


@settings(deadline=None)
@given(numbers)
def test_numbers_of_a_set_come_out_in_order(chosen):
    assert list(numbers_in(sum(1 << number for number in chosen))) == sorted(chosen)


@settings(deadline=None)
@given(numbers, st.data())
def test_a_set_follows_what_is_put_in_and_taken_out(chosen, data):
    documents = DocumentSet()
    for number in chosen:
        documents.add(number)
    assert set(numbers_in(documents.bits)) == chosen
    gone = data.draw(st.sets(st.sampled_from(sorted(chosen)))) if chosen else set()
    for number in gone:
        documents.remove(number)
    assert set(numbers_in(documents.bits)) == chosen - gone


def test_nothing_can_be_taken_out_of_an_empty_set():
    with pytest.raises(IndexError):
        DocumentSet().remove(7)


def test_the_first_document_of_a_word_is_told():
    postings = Postings()
    assert postings.add("police", 0)
    assert not postings.add("police", 1)
    assert postings.add("border", 1)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ([], set()),
        (["unknown"], set()),
        (["every"], set(range(1000))),
        (["third"], set(range(0, 1000, 3))),
        (["rare"], {500}),
        (["rare", "last", "unknown"], {500, 999}),
        (["third", "last"], {*range(0, 1000, 3), 999}),
    ],
)
def test_documents_that_have_any_of_some_words(words, expected):
    postings = Postings()
    for number in range(1000):
        postings.add("every", number)
        if number % 3 == 0:
            postings.add("third", number)
        if number in (500, 999):
            postings.add("rare" if number == 500 else "last", number)
    assert set(numbers_in(postings.having(words))) == expected


def test_a_frequent_word_that_becomes_more_frequent_is_counted_on():
    postings = Postings()
    for number in range(300):
        postings.add("police", number)
    assert postings.having(["police"]).bit_count() == 300
    for number in range(300, 400):
        postings.add("police", number)
    assert set(numbers_in(postings.having(["police"]))) == set(range(400))
