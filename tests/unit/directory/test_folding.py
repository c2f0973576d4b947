"""One key for every spelling of a name."""

import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.folding import fold, fold_alternatives, fold_words


@pytest.mark.parametrize(
    "spellings",
    [
        ["Preševo", "Прешево", "Presevo", "Preshevo", "PREŠEVO", "Prešévo", "  preševo! "],
        ["Ќафасан", "Kjafasan", "Ḱafasan", "Kafasan"],
        ["Qafë Thanë", "Qafe Thane", "QAFË THANË", "qafe tane"],
        ["Đorđe Šćepanović", "Ђорђе Шћепановић", "Djordje Scepanovic", "Dorde Šcepanović", "ĐORĐE ŠĆEPANOVIĆ"],
        ["Љубиња Џаковић", "Ljubinja Džaković", "Ljubinja Dzakovic", "Ǉubiǌa Ǆaković", "Ljubinja Dzhakovich"],
        ["Ѓорѓи Ќосев", "Gjorgji Kjosev", "Gorgi Kosev", "Ǵorǵi Ḱosev"],
        ["Ђердап", "Đerdap", "Djerdap", "Derdap"],
        ["Меџитлија", "Medžitlija", "Medzhitlija", "Mexhitlija", "Medzitlia"],
        ["Вршка Чука", "Vrška Čuka", "Vrska Cuka", "Vrshka Chuka"],
        ["Връшка чука", "Vrashka Chuka", "Vraška Čuka"],
        ["Гюешево", "Ѓуешево", "Gyueshevo", "Gjueshevo"],
        ["Олтоманци", "Oltomanci", "Oltomantsi"],
        ["Лисичково", "Lisičkovo", "Lisichkovo"],
        ["Ловешко поле", "Loveshko pole", "Loveško polje"],
        ["Одељење", "Odeljenje", "Odjeljenje"],
        ["България", "Balgarija", "Balgaria", "Balgariya"],
        ["Kapıkule", "Kapikule", "KAPIKULE", "KAPIKULE"],
        ["İpsala", "Ipsala", "ipsala"],
        ["Dereköy", "Derekoy", "Derekoey"],
        ["Gümüş Dağ", "Gumus Dag", "Gumush Dagh"],
        ["Galați", "Galaţi", "Galati"],
        ["Leușeni", "Leuşeni", "Leuseni"],
        ["Chișinău", "Chisinau"],
        ["Mohács", "Mohač", "Mohacs"],
        ["Hercegszántó", "Hercegsanto", "Hercegszanto"],
        ["Röszke", "Roszke", "Roeszke"],
        ["Győr", "Gyor", "Győr"],
        ["Thörl-Maglern", "Thoerl Maglern", "Torl–Maglern"],
        ["Łódź", "Lodz", "łódz"],
        ["Εύζωνοι", "Evzonoi", "ΕΥΖΩΝΟΙ", "Εύζωνοι"],
        ["Δοϊράνη", "Doirani", "Doyrani"],
        ["Ηγουμενίτσας", "Igoumenitsas", "Igumenicas"],
        ["Νυμφαία", "Nymfaia", "Nymphaia"],
        ["Καλωτίνα", "Kalotina", "Калотина"],
        ["Маяки", "Maiaky", "Majaki"],
        ["Straße", "Strasse", "Strase"],
        ["Kullë", "Kulë", "Кула".replace("а", "е")],
    ],
    ids=lambda spellings: spellings[0],
)
def test_spellings_share_a_key(spellings):
    assert len({fold(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Κήποι", "Kipi"),
        ("Κήποι", "Kipoi"),
        ("Εύζωνοι", "Evzoni"),
        ("Προμαχώνας", "Promachonas"),
        ("Προμαχώνας", "Promahonas"),
        ("Μπάρμπας", "Barbas"),
        ("Đerdap II", "Djerdap 2"),
        ("Neum 1", "Неум I"),
    ],
)
def test_spellings_share_one_of_the_keys_of_each_word(one, other):
    for keys, other_keys in zip(fold_alternatives(one), fold_alternatives(other), strict=True):
        assert set(keys) & set(other_keys)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Neum I", "Neum II"),
        ("Đerdap I", "Ђердап II"),
        ("Preševo", "Brezovo"),
        ("Bor", "Bar"),
        ("Stara Gradiška", "Nova Gradiška"),
        ("PP 11", "PP 1"),
    ],
)
def test_different_names_have_different_keys(one, other):
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("  –„“ ", ()),
        ("Skopje", ("skopie", "skopje")),
        ("Đala", ("dala", "djala")),
        ("Ѓевгелија", ("gevgelia", "gjevgelija")),
        ("Κήποι", ("kipoi", "kipi")),
        ("Εύζωνοι", ("evzonoi", "evzoni", "eizonoi", "eyzonoi")),
        ("NCB Београд", ("ncb", "beograd")),
        ("Bar Bar", ("bar",)),
        ("24/7", ("24", "7")),
        ("Sant'Andrea", ("sant", "andrea")),
        ("II", ("ii", "2")),
    ],
)
def test_fold_words(text, expected):
    assert fold_words(text) == expected


@pytest.mark.parametrize("text", ["日本", "مرحبا", "თბილისი", "Երեւան", "𝔖𝔨𝔬𝔭𝔧𝔢", "\ud800", "\0", "ﬁ", "ŉ"])
def test_other_scripts_and_odd_characters_make_words_of_latin_letters_or_none(text):
    assert all(word.isascii() and word.isalnum() for word in fold_words(text))


@settings(deadline=None)
@given(st.text())
def test_keys_are_words_of_small_letters_and_digits(text):
    assert all(word.isascii() and word.isalnum() and word == word.lower() for word in fold(text).split())
    assert [keys[0] for keys in fold_alternatives(text)] == fold(text).split()


@settings(deadline=None)
@given(st.text(alphabet="abcčćdđšžђљњќѓğışțőλπώ zhj"))
def test_neither_composition_nor_case_matters(text):
    assert fold(unicodedata.normalize("NFD", text)) == fold(text)
    assert fold(text.upper()) == fold(text)


@pytest.mark.parametrize(
    "name", ["Preševo", "Прешево", "Ђердап", "Kjafasan", "Vrashka", "Gyueshevo", "Dereköy", "Κήποι"]
)
def test_what_is_typed_so_far_begins_a_key(name):
    keys = [key for words in fold_alternatives(name) for key in words]
    for length in range(1, len(name)):
        typed = [key for words in fold_alternatives(name[:length]) for key in words]
        assert any(key.startswith(beginning) for key in keys for beginning in typed)


@pytest.mark.parametrize("noise", ["qqqqqqqqqqqqq", "zzzz", "aaa"])
def test_a_run_of_one_letter_is_no_short_word(noise: str) -> None:
    assert len(fold(noise)) >= 3
