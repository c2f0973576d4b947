"""Log lines: one JSON object each, whoever speaks."""

import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from web.logs import configure_logs


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def said(capsys):
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_both_ways_of_speaking_end_in_one_form(capsys):
    configure_logs()
    logging.getLogger("sync.pull").warning("pull of %s failed", "RS")
    structlog.get_logger("veza.web").error("refused", code="busy")
    first, second = said(capsys)
    assert (first["event"], first["level"], first["logger"]) == ("pull of RS failed", "warning", "sync.pull")
    assert (second["event"], second["level"], second["code"]) == ("refused", "error", "busy")
    assert first["at"].endswith("Z")


def test_an_exception_is_told_on_one_line(capsys):
    configure_logs()
    try:
        raise ValueError("Прешево")
    except ValueError:
        logging.getLogger("web").exception("failed")
    (line,) = said(capsys)
    assert "ValueError: Прешево" in line["exception"]


def test_jobs_that_run_are_not_told(capsys):
    configure_logs()
    logging.getLogger("apscheduler.executors.default").info("job ran")
    assert said(capsys) == []


def test_configuring_twice_says_everything_once(capsys):
    configure_logs()
    configure_logs()
    logging.getLogger("web").info("once")
    assert len(said(capsys)) == 1
