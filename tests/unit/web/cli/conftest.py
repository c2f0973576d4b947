"""A node of Montenegro made once and copied for each test, and the command line to ask it."""

import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from directory.document import parse_document
from web.cli import main
from web.cli.importing import import_records
from web.cli.init import create_node
from web.cli.nodes import opened_node
from web.demo_plan import sample_document

SETTINGS = {"participant": "ME", "url": "http://127.0.0.1:9100", "insecure_urls": True}


@pytest.fixture(scope="session")
def made_node(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("node") / "ME"
    create_node(data, SETTINGS)
    with opened_node(data) as (_, node):
        import_records(node, parse_document(sample_document("ME"), "ME"))
    return data


@pytest.fixture
def data(made_node: Path, tmp_path: Path) -> Path:
    """The data directory of a node with the sample's records."""
    return shutil.copytree(made_node, tmp_path / "ME")


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, str, str]]:
    """Run the command line: status, standard output and standard error."""

    def run(*arguments: object, typed: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return run


@pytest.fixture
def veza(run, data):
    """The command line with the node's data directory."""

    def veza(*arguments: object, typed: str = "") -> tuple[int, str, str]:
        return run("--data", data, *arguments, typed=typed)

    return veza


@pytest.fixture
def answer(veza):
    """What a command that succeeds prints as JSON."""

    def answer(*arguments: object) -> object:
        status, out, err = veza(*arguments, "--json")
        assert (status, err) == (0, "")
        return json.loads(out)

    return answer


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write a JSON file (or a text) and give its path."""

    def write(value: object, name: str = "input.json") -> Path:
        path = tmp_path / name
        path.write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")
        return path

    return write
