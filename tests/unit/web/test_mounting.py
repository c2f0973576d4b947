"""A node below a path of its host."""

import pytest

from web.mounting import Mounted


@pytest.mark.parametrize(
    ("given", "seen"),
    [("/veza/api/v1", "/api/v1"), ("/veza", ""), ("/api/v1", "/api/v1"), ("/vezacc/x", "/vezacc/x"), ("", "")],
)
def test_the_prefix_is_moved_to_where_links_are_made_from(given: str, seen: str) -> None:
    environ = {"PATH_INFO": given, "SCRIPT_NAME": ""}
    served = list(Mounted(lambda environ, start: [environ["PATH_INFO"].encode()], "/veza")(environ, lambda *_: None))
    assert served == [seen.encode()]
    assert environ["SCRIPT_NAME"] == "/veza"
