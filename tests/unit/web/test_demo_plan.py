"""Which nodes a demo has, and that one which is there keeps its address."""

import pytest

from web.demo_plan import country_codes, home_unit, organisation_codes, plan_nodes, sample_document


def test_three_countries_by_default_order(tmp_path):
    nodes = plan_nodes(tmp_path, 3, organisations=False, base_port=8100)
    assert [node.participant for node in nodes] == ["ME", "RS", "MK"]
    assert [node.url for node in nodes] == [f"http://127.0.0.1:{port}" for port in (8100, 8101, 8102)]
    assert [node.port for node in nodes] == [8100, 8101, 8102]
    assert [node.is_anchor for node in nodes] == [True, False, False]
    assert nodes[1].data == tmp_path / "RS"


def test_all_countries_then_organisations(tmp_path):
    nodes = plan_nodes(tmp_path, 17, organisations=True, base_port=9000)
    assert len(nodes) == 17 + len(organisation_codes())
    assert [node.participant for node in nodes[17:]] == organisation_codes()
    assert len({node.port for node in nodes}) == len(nodes)


def test_a_node_that_is_there_keeps_its_address_and_new_ones_go_round_it(tmp_path):
    (tmp_path / "RS").mkdir()
    (tmp_path / "RS" / "veza.toml").write_text('participant = "RS"\nurl = "http://127.0.0.1:8100"\n')
    nodes = plan_nodes(tmp_path, 3, organisations=False, base_port=8100)
    assert [node.port for node in nodes] == [8101, 8100, 8102]


def test_every_country_once():
    assert len(set(country_codes())) == len(country_codes()) == 17


@pytest.mark.parametrize("code", ["ME", "DE", "EUROPOL", "SEPCA"])
def test_people_work_in_a_unit_of_their_own(code):
    document = sample_document(code)
    assert home_unit(document) in {unit["id"] for unit in document["units"]}


def test_home_is_the_spoc_before_others_that_are_always_open():
    assert home_unit(sample_document("ME")) == "me-spoc"


def test_an_unknown_code_has_no_sample():
    with pytest.raises(KeyError):
        sample_document("FR")
