"""What other nodes fetch and post: bytes, tags, who may read, what is refused."""

import gzip
import json
from pathlib import Path

import pytest

from directory.database import reading, writing
from federation.anchor import enrol
from federation.checkpoint import make_checkpoint, read_checkpoint
from federation.entries import decode_page
from federation.identity import Identity, create_identity
from federation.key_directory import KeyDirectory
from federation.keys import key_set
from federation.log import load_head
from federation.merkle import Frontier, leaf_hash
from federation.participants import bind_participant, end_trust, store_configuration
from federation.read_tokens import make_read_token
from federation.refusals import load_refusals
from federation.statements import make_configuration, read_configuration
from tests.web.building import NOW, URL, ServedNode, serve_copy

LOG = "/federation/v1/logs"


def neighbour(node: ServedNode, code: str = "RS") -> Identity:
    port = {"RS": 8110, "XK": 8120, "HR": 8130}[code]
    return KeyDirectory(node.data / "neighbours" / code, code, f"http://127.0.0.1:{port}").load()


def refused(node: ServedNode) -> list[tuple[str, str, int]]:
    with reading(node.engine) as session:
        return [(each.peer, each.code, each.count) for each in load_refusals(session, NOW)]


def get(node: ServedNode, path: str, reader: Identity | None = None, audience: str = URL, **headers: str):
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    if reader is not None:
        named["Authorization"] = f"Bearer {make_read_token(reader, audience, node.clock.now)}"
    return node.app.test_client().get(path, headers=named)


def problem(response) -> tuple[int, str]:
    assert response.content_type == "application/problem+json"
    return response.status_code, response.json["type"].removeprefix("urn:veza:problem:")


def test_the_configuration_is_open_to_everybody(node: ServedNode) -> None:
    response = get(node, "/.well-known/openid-federation")
    assert response.content_type == "application/entity-statement+jwt"
    configuration = read_configuration(response.get_data(as_text=True))
    assert (configuration.entity_id, configuration.participant) == (URL, "ME")
    chain = get(node, "/federation/v1/configurations/ME")
    assert chain.json == [configuration.token]
    assert len(get(node, "/federation/v1/configurations/RS").json) == 1


def test_the_configuration_of_a_stranger_is_not_found(node: ServedNode) -> None:
    assert problem(get(node, "/federation/v1/configurations/QQ")) == (404, "not_found")


def test_a_log_is_read_and_proven(node: ServedNode) -> None:
    reader = neighbour(node)
    answer = get(node, f"{LOG}/ME/checkpoint", reader)
    assert answer.content_type == "application/jwt"
    assert answer.headers["Cache-Control"] == "no-store"
    checkpoint = read_checkpoint(answer.data)
    page = get(node, f"{LOG}/ME/entries?start=0", reader)
    assert page.content_type == "application/x-ndjson"
    assert page.headers["Cache-Control"] == "private, max-age=600"
    entries = decode_page(page.data, checkpoint.size)
    assert Frontier().extend(leaf_hash(entry.header) for entry in entries).root() == checkpoint.root


def test_a_page_is_compressed_where_that_is_accepted(node: ServedNode) -> None:
    reader = neighbour(node)
    plain = get(node, f"{LOG}/ME/entries?start=40", reader)
    packed = get(node, f"{LOG}/ME/entries?start=40", reader, Accept_Encoding="gzip")
    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(packed.data) == plain.data
    assert packed.headers["ETag"] != plain.headers["ETag"], "the tag is over the bytes sent"
    assert "Accept-Encoding" in packed.vary
    refused = get(node, f"{LOG}/ME/entries?start=40", reader, Accept_Encoding="gzip;q=0, identity")
    assert refused.data == plain.data


@pytest.mark.parametrize("encoding", ["identity", "gzip"])
def test_an_unchanged_page_is_not_sent_again(node: ServedNode, encoding: str) -> None:
    reader, path = neighbour(node), f"{LOG}/ME/entries?start=0"
    first = get(node, path, reader, Accept_Encoding=encoding)
    second = get(node, path, reader, Accept_Encoding=encoding, If_None_Match=first.headers["ETag"])
    assert (second.status_code, second.data) == (304, b"")
    assert "Content-Encoding" not in second.headers


@pytest.mark.parametrize(
    "start",
    ["", "?start=", "?start=-1", "?start=1.0", "?start=x", "?start=9007199254740992", "?start=²", "?start=0&start=1"],
)
def test_a_start_that_is_no_number_is_refused(node: ServedNode, start: str) -> None:
    assert problem(get(node, f"{LOG}/ME/entries{start}", neighbour(node))) == (400, "bad_request")


def test_a_start_beyond_the_log_is_out_of_range(node: ServedNode) -> None:
    size = read_checkpoint(get(node, f"{LOG}/ME/checkpoint", neighbour(node)).data).size
    response = get(node, f"{LOG}/ME/entries?start={size}", neighbour(node))
    assert problem(response) == (404, "out_of_range")


def test_a_log_that_is_not_held_is_not_found(node: ServedNode) -> None:
    for part in ("checkpoint", "entries?start=0"):
        assert problem(get(node, f"{LOG}/QQ/{part}", neighbour(node))) == (404, "not_found")


@pytest.mark.parametrize("part", ["checkpoint", "entries?start=0"])
def test_strangers_read_nothing(node: ServedNode, part: str, tmp_path: Path) -> None:
    stranger = create_identity(tmp_path / "stranger", "BA", "http://127.0.0.1:8190")
    path = f"{LOG}/ME/{part}"
    assert problem(get(node, path)) == (401, "unauthenticated")
    assert problem(get(node, path, Authorization="Basic x")) == (401, "unauthenticated")
    assert problem(get(node, path, stranger)) == (401, "unauthenticated")
    assert problem(get(node, path, Authorization="Bearer a.b")) == (401, "malformed")
    assert problem(get(node, path, Authorization=f"Bearer {'x' * 9000}")) == (401, "too_large")
    assert problem(get(node, path, neighbour(node), audience="http://127.0.0.1:9999")) == (401, "wrong_audience")
    forged = Identity("RS", "http://127.0.0.1:8110", None, stranger.operating_key)
    assert problem(get(node, path, forged)) == (401, "unknown_key")


def test_an_old_read_token_is_refused(node: ServedNode) -> None:
    token = make_read_token(neighbour(node), URL, NOW)
    node.clock.forward(minutes=11)
    response = get(node, f"{LOG}/ME/checkpoint", Authorization=f"Bearer {token}")
    assert problem(response) == (401, "expired")


def test_trust_that_ended_reads_nothing(node: ServedNode) -> None:
    with writing(node.engine) as session:
        end_trust(session, "RS", NOW)
    assert problem(get(node, f"{LOG}/ME/checkpoint", neighbour(node))) == (401, "unauthenticated")


def test_entries_of_others_go_to_their_origin_and_to_those_it_names(node: ServedNode) -> None:
    path = f"{LOG}/RS/entries?start=0"
    assert get(node, path, neighbour(node, "RS")).status_code == 200
    assert problem(get(node, path, neighbour(node, "HR"))) == (403, "forbidden")
    assert get(node, f"{LOG}/RS/checkpoint", neighbour(node, "HR")).status_code == 200
    named = make_configuration(neighbour(node, "RS"), now=NOW, readers=["http://127.0.0.1:8130"], not_before=NOW)
    with writing(node.engine) as session:
        store_configuration(session, named)
    assert get(node, path, neighbour(node, "HR")).status_code == 200


def test_open_logs_need_no_token(node_template: Path, tmp_path: Path) -> None:
    node = serve_copy(node_template, tmp_path / "open", {"open_logs": True})
    assert get(node, f"{LOG}/ME/checkpoint").status_code == 200
    assert get(node, f"{LOG}/RS/entries?start=0").status_code == 200
    assert problem(get(node, f"{LOG}/QQ/checkpoint")) == (404, "not_found")
    node.close()


# -- statements that are passed on ----------------------------------------------------------------------------------


def post(node: ServedNode, body: bytes | str):
    return node.app.test_client().post("/federation/v1/checkpoints", data=body, content_type="application/jwt")


def head_of(node: ServedNode, code: str):
    with writing(node.engine) as session:
        return load_head(session, code)


def test_a_newer_checkpoint_is_taken(node: ServedNode) -> None:
    held = head_of(node, "RS")
    node.clock.forward(hours=1)
    newer = make_checkpoint(neighbour(node), held.size, held.root, node.clock.now, held.issued_at)
    assert post(node, newer.token).status_code == 202
    assert head_of(node, "RS").checkpoint == newer.token
    assert post(node, newer.token).status_code == 202, "what is known already is no mistake"


def test_a_newer_configuration_is_taken(node: ServedNode) -> None:
    newer = make_configuration(neighbour(node), now=NOW, name="Renamed", not_before=NOW)
    assert post(node, newer.token).status_code == 202
    assert get(node, "/federation/v1/configurations/RS").json[-1] == newer.token


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"", 400, "malformed"),
        (b"x.y.z", 400, "malformed"),
        (b"\xff\xfe", 400, "malformed"),
        (b"x" * 66_000, 413, "too_large"),
    ],
)
def test_what_is_no_statement_is_refused(node: ServedNode, body: bytes, status: int, code: str) -> None:
    before = head_of(node, "RS")
    assert problem(post(node, body)) == (status, code)
    assert head_of(node, "RS") == before


def test_forged_statements_are_refused(node: ServedNode, tmp_path: Path) -> None:
    held, rs = head_of(node, "RS"), neighbour(node)
    stranger = create_identity(tmp_path / "stranger", "BA", "http://127.0.0.1:8190")
    forged = Identity("RS", rs.entity_id, None, stranger.operating_key)
    token = make_checkpoint(forged, held.size + 1, bytes(32), NOW, None).token
    assert problem(post(node, token)) == (401, "unknown_key")
    token = make_checkpoint(stranger, 1, bytes(32), NOW, None).token
    assert problem(post(node, token)) == (403, "unknown_participant")
    good = make_checkpoint(rs, held.size + 1, bytes(32), NOW, None).token
    assert problem(post(node, good[:-4] + ("AAAA" if good[-4:] != "AAAA" else "BBBB")))[0] in (400, 401)
    assert head_of(node, "RS") == held


def test_two_roots_at_one_size_are_a_fork(node: ServedNode) -> None:
    held = head_of(node, "RS")
    other = make_checkpoint(neighbour(node), held.size, bytes(32), NOW, None)
    assert problem(post(node, other.token)) == (400, "fork")
    after = head_of(node, "RS")
    assert (after.size, after.root, after.checkpoint) == (held.size, held.root, held.checkpoint)
    assert after.disputed == other.token


# -- being an anchor ------------------------------------------------------------------------------------------------


def test_the_anchor_vouches_for_whom_it_enrolled(node: ServedNode) -> None:
    rs = neighbour(node)
    with writing(node.engine) as session:
        enrol(session, "RS", rs.entity_id, key_set(rs.federation_key), NOW)
    configuration = get(node, "/anchor/.well-known/openid-federation")
    assert configuration.content_type == "application/entity-statement+jwt"
    assert get(node, "/anchor/list").json == [rs.entity_id]
    statement = get(node, f"/anchor/fetch?sub={rs.entity_id}")
    assert statement.content_type == "application/entity-statement+jwt"


@pytest.mark.parametrize(
    ("query", "status", "error"),
    [("", 400, "invalid_request"), ("?sub=", 400, "invalid_request"), ("?sub=http://x", 404, "not_found")],
)
def test_the_anchor_says_no_in_the_words_of_openid_federation(
    node: ServedNode, query: str, status: int, error: str
) -> None:
    response = get(node, f"/anchor/fetch{query}")
    assert (response.status_code, response.content_type) == (status, "application/json")
    assert response.json["error"] == error


def test_a_node_that_is_no_anchor_says_so(node_template: Path, tmp_path: Path) -> None:
    data = tmp_path / "plain"
    node = serve_copy(node_template, data)
    node.close()
    (data / "anchor" / "anchor.pem").unlink()
    plain = serve_copy(data, tmp_path / "plainer")
    for path in ("/anchor/list", "/anchor/.well-known/openid-federation"):
        assert problem(get(plain, path)) == (404, "not_found")
    assert get(plain, "/anchor/fetch?sub=http://x").json["error"] == "not_found"
    plain.close()


def test_a_peer_bound_anew_is_read_from_its_new_keys(node: ServedNode, tmp_path: Path) -> None:
    fresh = create_identity(tmp_path / "BA", "BA", "http://127.0.0.1:8190")
    with writing(node.engine) as session:
        bind_participant(session, "BA", fresh.entity_id, "peering", key_set(fresh.federation_key))
        store_configuration(session, make_configuration(fresh, now=NOW))
    assert json.loads(get(node, "/federation/v1/configurations/BA").data)
    assert get(node, f"{LOG}/ME/entries?start=0", fresh).status_code == 200


def test_a_refused_token_of_a_known_reader_is_counted_where_it_signed_it(node: ServedNode) -> None:
    reader = neighbour(node)
    for _ in range(2):
        assert problem(get(node, f"{LOG}/ME/checkpoint", reader, "https://other.example")) == (401, "wrong_audience")
    assert refused(node) == [("RS", "wrong_audience", 2)]
    text = node.app.test_client().get("/metrics").get_data(as_text=True)
    assert 'veza_refusals_total{code="wrong_audience",peer="RS"} 2.0' in text


def test_nothing_is_counted_of_tokens_that_nobody_known_signed(node: ServedNode, tmp_path: Path) -> None:
    thief = create_identity(tmp_path / "thief", "RS", neighbour(node).entity_id)
    stranger = create_identity(tmp_path / "stranger", "SI", "https://si.example")
    token = make_read_token(neighbour(node), URL, node.clock.now)
    altered = token[:-20] + "A" * 20
    for authorization in (None, "Bearer x", f"Bearer {altered}"):
        headers = {} if authorization is None else {"Authorization": authorization}
        assert node.app.test_client().get(f"{LOG}/ME/checkpoint", headers=headers).status_code == 401
    assert problem(get(node, f"{LOG}/ME/checkpoint", thief)) == (401, "unknown_key")
    assert problem(get(node, f"{LOG}/ME/checkpoint", stranger)) == (401, "unauthenticated")
    assert refused(node) == []
