"""The directory that a command asks: a node's, or that of documents alone (training, what-if)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from directory.database import reading
from directory.document import parse_documents
from directory.errors import NotFoundError
from directory.freshness import LogFacts
from directory.index import Directory, IndexCache
from directory.policy import Policy, load_policy
from directory.rota import Rota, parse_rota
from directory.store import load_record
from web.cli.databases import opened_database
from web.cli.parameters import read_json
from web.log_facts import load_log_facts


@dataclass(frozen=True, slots=True)
class AskedDirectory:
    """A directory with what is needed to answer from it; ``own`` is the node's participant, if there is a node."""

    directory: Directory
    policy: Policy
    facts: Callable[[str], LogFacts | None]
    own: str | None = None


def directory_of_documents(paths: Sequence[Path]) -> AskedDirectory:
    """What directory documents say, with the region's policy; InvalidInputError with every fault of a document."""
    documents = [document for path in paths for document in parse_documents(read_json(path))]
    return AskedDirectory(Directory.from_documents(documents), load_policy(), lambda code: None)


def directory_of_node(data: Path) -> AskedDirectory:
    """What the node in ``data`` holds, with its own policy."""
    with opened_database(data) as (config, engine), reading(engine) as session:
        facts = load_log_facts(session)
        directory = IndexCache().refresh(session)
        return AskedDirectory(directory, load_policy(config.policy), facts.get, config.participant)


def rota_of_node(data: Path, ref: str) -> Rota:
    """The rota with this reference, or that of the unit with it; NotFoundError where the node holds neither."""
    with opened_database(data) as (_, engine), reading(engine) as session:
        participant, _, record_id = ref.partition(":")
        record = load_record(session, participant, record_id)
        if record is not None and record.type == "rota" and record.state == "live":
            return parse_rota(record.data)
        directory = IndexCache().refresh(session)
        unit = directory.unit(ref)
        held = None if unit is None else directory.rota_of(unit)
    if held is None:
        raise NotFoundError(f"expected a rota, or a unit that has one, such as ME:unit/me-spoc, found {ref!r}")
    return held[1]
