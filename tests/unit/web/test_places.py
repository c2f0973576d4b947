"""Where a node's data lie."""

from pathlib import Path

from web.places import DEFAULT_DATA, data_directory


def test_the_variable_names_the_directory():
    assert data_directory({"VEZA_DATA": "/srv/veza"}) == Path("/srv/veza")


def test_without_it_the_default_is_in_the_home_directory():
    assert data_directory({}) == data_directory({"VEZA_DATA": ""}) == DEFAULT_DATA.expanduser()
    assert data_directory({}).is_absolute()
