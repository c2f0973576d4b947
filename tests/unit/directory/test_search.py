"""Finding names as they are typed."""

import json
import threading
from importlib import resources

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from directory.folding import fold
from directory.search import SearchIndex


@pytest.fixture(scope="module")
def region():
    """Every crossing with its names on both sides, and some units."""
    index = SearchIndex()
    crossings = json.loads(resources.files("directory").joinpath("data/crossings.json").read_text("utf-8"))["crossings"]
    for crossing in crossings:
        names = [name for languages in crossing["names"].values() for name in languages.values()]
        index.add(crossing["id"], names, ("place", crossing["id"]), rank=1)
    index.add("RS:unit/rs-ncb", ["NCB Belgrade", "НЦБ Београд", "NCB Beograd"], ("unit", "rs-ncb"), rank=0)
    index.add("HU:unit/hu-gyor", ["Győr Regional Police", "Győri Rendőrség"], ("unit", "hu-gyor"), rank=0)
    index.add("TR:unit/tr-dag", ["Border unit Ağrı Dağı", "Ağrı Dağı Hudut Birliği"], ("unit", "tr-dag"), rank=2)
    return index


def keys(index, query, limit=20):
    return [hit.key for hit in index.find(query, limit)]


@pytest.mark.parametrize(
    ("queries", "expected"),
    [
        (["Presevo", "Preševo", "Прешево", "preshevo", "PREŠEVO", "Prešev", "преш"], "xp-presevo-tabanovce"),
        (["Tabanovce", "Табановце", "tabanovtse"], "xp-presevo-tabanovce"),
        (["Qafë Thanë", "Qafe Thane", "Kjafasan", "Ќафасан", "Kafasan", "thane qafe"], "xp-qafe-thane-kjafasan"),
        (["Kapıkule", "Kapikule", "KAPIKULE", "Капитан Андреево"], "xp-kapitan-andreevo-kapikule"),
        (["Εύζωνοι", "ευζωνοι", "Evzoni", "Evzonoi", "Богородица"], "xp-bogorodica-evzoni"),
        (["Κήποι", "Kipi", "Kipoi", "İpsala", "ipsala"], "xp-kipoi-ipsala"),
        (["Προμαχώνας", "Promachonas", "Promahonas", "Kulata"], "xp-kulata-promachonas"),
        (["Galați", "Galaţi", "Giurgiulesti"], "xp-galati-giurgiulesti"),
        (["Đerdap 2", "Djerdap II", "Porțile de Fier II", "Kusjak", "Кусјак"], "xp-djerdap2-portile-de-fier2"),
        (["Thörl", "Thoerl", "Coccau"], "xp-thoerl-maglern-coccau"),
        (["Röszke", "Roszke", "Horgoš", "Хоргош", "Horgos Röszke"], "xp-horgos-roszke"),
        (["Győr", "Gyor", "gyori rendorseg"], "HU:unit/hu-gyor"),
        (["Ağrı Dağı", "Agri Dagi"], "TR:unit/tr-dag"),
        (["Београд", "Beograd", "belgrade", "нцб"], "RS:unit/rs-ncb"),
    ],
)
def test_every_spelling_finds_it_first(region, queries, expected):
    assert {query: keys(region, query)[:1] for query in queries} == {query: [expected] for query in queries}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Presvo", "xp-presevo-tabanovce"),
        ("Perševo", "xp-presevo-tabanovce"),
        ("Преево", "xp-presevo-tabanovce"),
        ("Qafe Tahne", "xp-qafe-thane-kjafasan"),
        ("Qafa Thana", "xp-qafe-thane-kjafasan"),
        ("Ќафсан", "xp-qafe-thane-kjafasan"),
        ("Kjafaasn", "xp-qafe-thane-kjafasan"),
        ("Kapıkul", "xp-kapitan-andreevo-kapikule"),
        ("Kapkule", "xp-kapitan-andreevo-kapikule"),
        ("Προμαχνας", "xp-kulata-promachonas"),
        ("Tsuhemisht", "xp-tushemisht-sveti-naum"),
        ("Horgoš Rözke", "xp-horgos-roszke"),
        ("Giurgulești", "xp-galati-giurgiulesti"),
        ("tabnov", "xp-presevo-tabanovce"),
        ("belgrdae ncb", "RS:unit/rs-ncb"),
        ("Меитлија", "xp-medzitlija-niki"),
        ("Elez Hn", "xp-hani-i-elezit-blace"),
        ("Šd", "xp-sid-tovarnik"),
        ("ύζωνοι", "xp-bogorodica-evzoni"),
    ],
)
def test_a_typing_error_is_forgiven(region, query, expected):
    assert expected in keys(region, query)[:3]


@pytest.mark.parametrize(
    "query",
    ["", "   ", "–", "„“", "\0", "wxyz", "Preševo wxyz", "Prsvo", "xyz Horgoš", "24/7", "x" * 10_000],
)
def test_what_nothing_matches_finds_nothing(region, query):
    assert keys(region, query) == []


@pytest.mark.parametrize("limit", [0, -1])
def test_nobody_gets_what_was_not_asked_for(region, limit):
    assert region.find("Preševo", limit) == []


def test_every_crossing_is_found_by_each_of_its_names(region):
    crossings = json.loads(resources.files("directory").joinpath("data/crossings.json").read_text("utf-8"))["crossings"]
    for crossing in crossings:
        for languages in crossing["names"].values():
            for name in languages.values():
                assert crossing["id"] in keys(region, name), name


def index_of(*documents):
    index = SearchIndex()
    for key, texts, rank in documents:
        index.add(key, texts, rank=rank)
    return index


@pytest.mark.parametrize(
    ("documents", "query", "expected"),
    [
        pytest.param([("b", ["Kulata"], 0), ("a", ["Kula"], 0)], "kula", ["a", "b"], id="whole words first"),
        pytest.param([("b", ["Kola"], 0), ("a", ["Kula"], 9)], "kula", ["a", "b"], id="without an error first"),
        pytest.param([("b", ["Police Bar"], 0), ("a", ["Bar"], 9)], "bar", ["a", "b"], id="the whole name first"),
        pytest.param(
            [("b", ["Border Police Nord"], 0), ("a", ["Гранична полиција", "Border Police", "bp"], 9)],
            "border police",
            ["a", "b"],
            id="the whole name first, though another is shorter",
        ),
        pytest.param([("b", ["Bar Port"], 1), ("a", ["Port of Bar"], 0)], "bar", ["a", "b"], id="then rank"),
        pytest.param([("b", ["Port of Bar"], 1), ("a", ["Bar Port"], 1)], "bar", ["a", "b"], id="then the shorter"),
        pytest.param([("b", ["Port Bar"], 1), ("a", ["Bar Port"], 1)], "bar", ["a", "b"], id="then by key"),
        pytest.param([("a", ["Border", "Police"], 0), ("b", ["Police"], 0)], "border police", ["a"], id="every word"),
        pytest.param([("a", [], 0), ("b", ["  "], 0), ("c", ["Bar"], 0)], "bar", ["c"], id="documents without words"),
    ],
)
def test_the_best_match_stands_first(documents, query, expected):
    assert keys(index_of(*documents), query) == expected


def test_the_order_is_the_same_where_very_many_match():
    index = SearchIndex()
    for number in range(900):
        index.add(f"u{number:03}", [f"Police station {number}"], rank=1 + number % 3)
    index.add("first", ["Police"], rank=9)
    index.add("second", ["Police headquarters"], rank=0)
    found = keys(index, "police", 5)
    assert found == ["first", "second", "u000", "u003", "u006"]
    assert keys(index, "police", 900)[:5] == found
    assert len(set(keys(index, "polic", 2000))) == 902


def test_scores_fall_from_what_was_typed_as_it_stands():
    index = index_of(("a", ["Kula"], 0), ("b", ["Kulata"], 0), ("c", ["Kola"], 0))
    scores = [hit.score for hit in index.find("kula")]
    assert scores[0] == 100
    assert scores == sorted(scores, reverse=True)
    assert scores[-1] >= 0


def test_a_hit_carries_its_payload():
    index = SearchIndex()
    index.add("a", ["Bar"], {"ref": "ME:unit/bar"})
    assert [hit.payload for hit in index.find("bar")] == [{"ref": "ME:unit/bar"}]


def test_of_a_long_query_the_first_words_count():
    index = index_of(("a", ["one two three four five six seven eight nine"], 0))
    assert keys(index, "one two three four five six seven eight wxyz") == ["a"]
    assert keys(index, "one two three four five six seven wxyz") == []


# --- Change ---


def test_a_document_that_is_added_again_replaces_itself():
    index = index_of(("a", ["Bar"], 0))
    index.add("a", ["Budva"], "new")
    assert keys(index, "bar") == []
    assert [(hit.key, hit.payload) for hit in index.find("budva")] == [("a", "new")]
    assert len(index) == 1


def test_the_same_words_with_another_payload_keep_their_place():
    index = index_of(("a", ["Bar"], 0))
    index.add("a", ["BAR"], "new")
    assert [hit.payload for hit in index.find("bar")] == ["new"]


def test_another_rank_takes_effect():
    index = index_of(("a", ["Bar Port"], 0), ("b", ["Bar Port"], 1))
    index.add("a", ["Bar Port"], rank=2)
    assert keys(index, "bar") == ["b", "a"]


def test_what_was_removed_is_not_found_and_may_be_removed_again():
    index = index_of(("a", ["Bar"], 0), ("b", ["Bar"], 0))
    index.remove("a")
    index.remove("a")
    index.remove("never there")
    assert keys(index, "bar") == ["b"]
    assert len(index) == 1


def test_an_index_that_changes_for_long_stays_right():
    index = SearchIndex()
    for turn in range(5000):
        index.add(f"u{turn % 10}", [f"Police {turn}"])
    assert sorted(keys(index, "police")) == [f"u{number}" for number in range(10)]
    assert keys(index, "4999")[:1] == ["u9"]
    assert keys(index, "4989 police") != ["u9", "u9"]


def test_answers_do_not_depend_on_what_is_kept_from_earlier_queries():
    forgetful = SearchIndex(cached_bytes=0)
    for key, name in (("a", "Bar"), ("b", "Budva"), ("c", "Bijelo Polje")):
        forgetful.add(key, [name])
    assert [keys(forgetful, query) for query in ("b", "bu", "b", "bi po", "b")] == [
        ["a", "b", "c"],
        ["b"],
        ["a", "b", "c"],
        ["c"],
        ["a", "b", "c"],
    ]


words = st.text(alphabet="abe", min_size=1, max_size=5)
names = st.lists(words, min_size=1, max_size=3).map(" ".join)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("uvwxyz"), st.one_of(st.none(), st.lists(names, max_size=2))), max_size=15),
    names,
)
def test_without_an_error_a_document_is_found_if_every_word_begins_one_of_its_words(changes, query):
    index, documents = SearchIndex(), {}
    for key, texts in changes:
        if texts is None:
            index.remove(key)
            documents.pop(key, None)
        else:
            index.add(key, texts)
            documents[key] = [word for text in texts for word in (*fold(text).split(), *text.split())]
    expected = {
        key
        for key, known in documents.items()
        if all(any(word.startswith((typed, fold(typed))) for word in known) for typed in query.split())
    }
    hits = index.find(query, 100)
    least_forgiving = 100 - 100 * len(query.split()) // (len(query.split()) * 22)
    assert {hit.key for hit in hits if hit.score >= least_forgiving} >= expected
    assert [hit.key for hit in hits][: len(expected)] == [hit.key for hit in hits if hit.key in expected]
    assert len({hit.key for hit in hits}) == len(hits)


def test_searching_while_another_thread_changes_the_index():
    index = index_of(("a", ["Bar"], 0))
    failures = []

    def change():
        for number in range(300):
            index.add(f"u{number % 7}", [f"Bar {number}"])

    def search():
        for _ in range(300):
            if "a" not in keys(index, "bar"):
                failures.append("lost")

    threads = [threading.Thread(target=target) for target in (change, search, search)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
