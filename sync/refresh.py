"""Whom to trust, asked of the anchor before participants are pulled (protocol.md, section 3, *Anchor*).

- A node that the anchor lists and vouches for is bound to the code it was granted, or its binding is renewed.
- A node that the anchor no longer lists, or answers ``404 not_found`` for, is trusted no more, at once.
- An anchor that is silent, or whose answers are refused, ends nothing: its statements hold until they expire.
- What an operator pinned by hand (peering), and the node itself, are not the anchor's to change.
"""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from urllib.parse import quote

from sqlalchemy.orm import Session

from directory.database import reading
from federation.addresses import check_entity_id
from federation.errors import FederationError, TrustError
from federation.participants import TrustedNode, bind_participant, end_trust, load_participants
from federation.statements import (
    AnchorConfiguration,
    SubordinateStatement,
    verify_anchor_configuration,
    verify_subordinate_statement,
)
from federation.trust import parse_node_list
from federation.trusted_anchor import TrustedAnchor, load_anchor
from sync.errors import PeerError, SyncError
from sync.lease import check_epoch
from sync.run import Run
from sync.storing import store
from sync.transport import ENTITY_STATEMENT, JSON, Response, check_status, read_object

WELL_KNOWN = "/.well-known/openid-federation"


@dataclass(frozen=True, slots=True)
class NodeFault:
    """Why a node that the anchor lists could not be bound, or its binding not be renewed."""

    entity_id: str
    participant: str | None
    """The code it is bound to, or claims; None where that is not known."""
    code: str
    detail: str
    bound: bool
    """Whether the node is the one that the code is bound to: its own pull then says how it stands."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What asking the anchor brought."""

    anchor_fault: SyncError | FederationError | None = None
    """Why the anchor's own answers could not be used."""
    node_faults: tuple[NodeFault, ...] = ()


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the anchor says about one node: its statement, that there is none, or nothing that can be used."""

    entity_id: str
    statement: SubordinateStatement | None = None
    ended: bool = False
    fault: SyncError | FederationError | None = None


def refresh_trust(run: Run) -> Refreshed:
    """Ask the configured anchor, if there is one, and bind, renew or end trust accordingly."""
    with reading(run.node.engine) as session:
        anchor = load_anchor(session)
        nodes = load_participants(session)
    if anchor is None:
        return Refreshed()
    try:
        listed, fetch_url = _read_list(run, anchor)
    except (PeerError, FederationError) as error:
        return Refreshed(anchor_fault=error)
    vouched = {node.entity_id: node for node in nodes if node.trust == "anchor"}
    apart = {run.node.identity.entity_id} | {node.entity_id for node in nodes} - vouched.keys()
    unlisted = [_Answer(entity_id, ended=True) for entity_id in vouched.keys() - set(listed)]
    answers = _ask_all(run, anchor, fetch_url, set(listed) - apart)
    return Refreshed(node_faults=_apply(run, anchor, vouched, [*unlisted, *answers]))


def ask_about_own_node(run: Run, anchor: TrustedAnchor) -> SubordinateStatement | None:
    """The anchor's own statement about this node, None where it vouches for no such node.

    Raises PeerError or FederationError where it gives no answer that can be used.
    """
    answer = _ask(run, anchor, _read_configuration(run, anchor).fetch_url, run.node.identity.entity_id)
    if answer.fault is not None:
        raise answer.fault
    return answer.statement


def introduce(run: Run, entity_id: str) -> bool:
    """Ask the anchor about one node that is not known yet, and bind it if the anchor vouches for it; whether it does.

    Only the anchor is dialled. Raises PeerError or FederationError where it gives no answer that can be used,
    TrustError where the node cannot be bound as the anchor says.
    """
    with reading(run.node.engine) as session:
        anchor = load_anchor(session)
    if anchor is None:
        return False
    listed, fetch_url = _read_list(run, anchor)
    answer = _ask(run, anchor, fetch_url, entity_id) if entity_id in listed else _Answer(entity_id, ended=True)
    if answer.fault is not None:
        raise answer.fault
    for fault in _apply(run, anchor, {}, [answer]):
        raise TrustError(fault.code, fault.detail)
    return answer.statement is not None


def _ask_all(run: Run, anchor: TrustedAnchor, fetch_url: str, entity_ids: set[str]) -> list[_Answer]:
    """What the anchor says about each of these nodes, asked side by side."""
    with ThreadPoolExecutor(max_workers=run.node.limits.pulls_at_once, thread_name_prefix="anchor") as pool:
        return list(pool.map(lambda entity_id: _ask(run, anchor, fetch_url, entity_id), sorted(entity_ids)))


def _read_list(run: Run, anchor: TrustedAnchor) -> tuple[list[str], str]:
    """The entity identifiers that the anchor lists, and where its statements are."""
    configuration = _read_configuration(run, anchor)
    return parse_node_list(_get(run, anchor, configuration.list_url, JSON).body), configuration.fetch_url


def _read_configuration(run: Run, anchor: TrustedAnchor) -> AnchorConfiguration:
    return verify_anchor_configuration(
        _get(run, anchor, anchor.entity_id + WELL_KNOWN, ENTITY_STATEMENT).body,
        keys=anchor.keys,
        now=run.now,
        anchor_id=anchor.entity_id,
        insecure_urls=run.node.settings.insecure_urls,
    )


def _get(run: Run, anchor: TrustedAnchor, url: str, accept: str) -> Response:
    return check_status(_fetch(run, anchor, url, accept), 200)


def _fetch(run: Run, anchor: TrustedAnchor, url: str, accept: str) -> Response:
    limits = run.node.limits
    run.check_going_on()
    return run.node.transport.get(
        url,
        accept=accept,
        max_bytes=limits.token_bytes if accept == ENTITY_STATEMENT else limits.list_bytes,
        seconds=limits.token_seconds,
        allowed_networks=anchor.allowed_networks,
    )


def _ask(run: Run, anchor: TrustedAnchor, fetch_url: str, entity_id: str) -> _Answer:
    try:
        check_entity_id(entity_id, run.node.settings.insecure_urls, anchor.allowed_networks)
        response = _fetch(run, anchor, f"{fetch_url}?sub={quote(entity_id, safe='')}", ENTITY_STATEMENT)
        if response.status == 404 and read_object(response.body).get("error") == "not_found":
            return _Answer(entity_id, ended=True)
        token = check_status(response, 200).body
        statement = verify_subordinate_statement(
            token, keys=anchor.keys, now=run.now, anchor_id=anchor.entity_id, entity_id=entity_id
        )
    except (PeerError, FederationError) as error:
        return _Answer(entity_id, fault=error)
    return _Answer(entity_id, statement)


def _apply(
    run: Run, anchor: TrustedAnchor, vouched: dict[str, TrustedNode], answers: list[_Answer]
) -> tuple[NodeFault, ...]:
    """Write what the anchor said in one transaction; ends come first, so that a code can pass to another node."""

    def write(session: Session) -> list[NodeFault]:
        check_epoch(session, run.fence)
        for answer in answers:
            if answer.ended and answer.entity_id in vouched:
                end_trust(session, vouched[answer.entity_id].participant, run.now)
        found = [_bind(session, anchor, vouched.get(answer.entity_id), answer) for answer in answers]
        return [fault for fault in found if fault is not None]

    return tuple(store(run.node.engine, write))


def _bind(session: Session, anchor: TrustedAnchor, known: TrustedNode | None, answer: _Answer) -> NodeFault | None:
    fault, statement = answer.fault, answer.statement
    code = known.participant if known else statement.participant if statement else None
    if statement is not None:
        try:
            bind_participant(
                session,
                statement.participant,
                statement.entity_id,
                "anchor",
                statement.federation_keys,
                statement_expires_at=statement.expires_at,
                allowed_networks=[str(network) for network in anchor.allowed_networks] or None,
            )
        except FederationError as error:
            fault = error
    return None if fault is None else NodeFault(answer.entity_id, code, fault.code, fault.detail, known is not None)
