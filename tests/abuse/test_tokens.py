"""Group C, second half: who signed, with which key, and how the token is written."""

import base64
import datetime as dt
import hashlib
import hmac
import json
from collections.abc import Iterator

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, padding, rsa

from directory.database import reading, writing
from federation.checkpoint import make_checkpoint
from federation.encoding import b64url_encode, dump_json
from federation.entries import make_put
from federation.errors import ConcurrentAppendError, FederationError
from federation.identity import Identity
from federation.log import append_entries, load_head
from federation.merkle import leaf_hash
from federation.participants import load_configurations, load_participant, shared_operating_keys
from sync.client import HttpTransport
from sync.errors import PeerResponseError
from sync.inbox import receive_statement
from sync.pull import pull_participants
from sync.transport import JSON, JWT
from sync.wanted import REFRESH, load_wanted
from tests.abuse import forging
from tests.abuse.attacked import MIB, MINUTE, Attack, Attacked, peak_memory_at_most
from tests.abuse.forging import claiming, claims_of, forged, growing, header_of, heading, serving, signed, signed_by
from tests.records import make_unit
from tests.simulators.network import answer
from tests.simulators.node_simulator import SALT, SimulatedNode, duty_officer, lines, named_identity, named_key
from tests.simulators.raw_server import RawServer, http_answer

DAY = dt.timedelta(days=1)


def refused_post(attacked: Attacked, token: bytes) -> str:
    """The code with which a posted statement is refused."""
    with pytest.raises(FederationError) as refusal:
        receive_statement(attacked.follower.node, token, attacked.now)
    return refusal.value.code


def test_c21_anothers_genuine_checkpoint(attacked: Attacked) -> None:
    other = attacked.network.nodes["https://mk.example"]
    attacked.refuses(serving(lambda node: other.served_checkpoint()), "wrong_issuer")
    attacked.refuses(claiming(iss="https://rs.example/"), "wrong_issuer")


def test_c22_anothers_registered_key(attacked: Attacked) -> None:
    attacked.refuses(signed_by(named_identity("MK").operating_key), "unknown_key")
    attacked.refuses(signed_by(named_identity("RS").federation_key or named_key("none")), "unknown_key")


def test_c23_a_thousand_unknown_keys_ask_for_one_list_of_keys(attacked: Attacked) -> None:
    attacked.follower.pass_time(2 * MINUTE)
    node = attacked.honest.copy()
    node.now = attacked.now
    attacked.network.forget_requests()
    with attacked.holding("unknown_key"):
        for number in range(1000):
            kid = b64url_encode(hashlib.sha256(b"%d" % number).digest())
            token = signed(node, header=dump_json(header_of(node, kid=kid)))
            assert refused_post(attacked, token) == "unknown_key"
    with reading(attacked.follower.engine) as session:
        assert load_wanted(session) == {"RS": REFRESH}
    assert attacked.network.requests == []
    assert attacked.counted_at_all() == 0  # nothing is written for posts whose signature proves nothing
    pull_participants(attacked.follower.node, attacked.now, ["RS"])
    assert attacked.network.asked("rs.example/.well-known/openid-federation") == 1


def test_c24_revoked_key_backdates(attacked: Attacked) -> None:
    old = attacked.honest.identity.operating_key

    def revoke(node: SimulatedNode) -> None:
        node.rotate_operating_key("second operating key")
        node.grow(10)
        issued = int(node.now.timestamp()) - 3000
        claims = claims_of(node, iat=issued, exp=issued + 7200)
        node.checkpoint_token = forged(dump_json(header_of(node, kid=old.kid)), dump_json(claims), old.private.sign)

    attacked.refuses(revoke, "unknown_key", learns=True)
    # what the old key signed before stays proven
    attacked.follower.check_logs()
    attacked.honest.rotate_operating_key("second operating key")


def test_c25_key_that_only_itself_announces(attacked: Attacked) -> None:
    thief = named_key("thief")

    def announce(node: SimulatedNode) -> None:
        node.publish("unit/new-key", make_unit(note=thief.kid))
        node.signing_key = thief

    attacked.refuses(announce, "unknown_key")

    def own_configuration(node: SimulatedNode) -> None:
        node.identity = Identity("RS", node.entity_id, named_key("thief federation"), thief)

    attacked.refuses(own_configuration, "unknown_key")


def test_c26_three_rotations_while_away(attacked: Attacked) -> None:
    """As a peer, where the chain is what proves each step; 256 configurations are followed, one more is not."""
    with writing(attacked.follower.engine) as session:
        session.connection().exec_driver_sql(
            "UPDATE participant SET trust = 'peering', statement_expires_at = NULL WHERE participant = 'RS'"
        )
    del attacked.network.anchor.enrolled["https://rs.example"]
    for number in range(3):
        attacked.follower.pass_time(10 * DAY)
        attacked.honest.now = attacked.now
        attacked.honest.rotate_federation_key(f"federation {number}")
        attacked.honest.rotate_operating_key(f"operating {number}")
    attacked.follower.pass_time(MINUTE)
    attacked.honest.now = attacked.now
    attacked.honest.renew_configuration()
    attacked.honest.grow(10)
    too_long = attacked.honest.copy()
    too_long.chain = [too_long.chain[0]] * 256
    attacked.network.nodes["https://rs.example"] = too_long
    before = attacked.picture()
    assert attacked.follower.pull("RS").result == "too_large"
    assert attacked.picture() == before
    attacked.network.nodes["https://rs.example"] = attacked.honest
    assert attacked.follower.pull("RS").result == "ok"
    attacked.follower.check_holds(attacked.honest)
    with reading(attacked.follower.engine) as session:
        held = load_configurations(session, "RS")
    # one configuration per hop: each lists the next key before that one signs
    assert len({each.kid for each in held}) == 4
    assert held[-1].operating_keys.keys() == {attacked.honest.identity.operating_key.kid}
    with reading(attacked.follower.engine) as session:
        assert load_participant(session, "RS") is not None


def test_c27_no_algorithm(attacked: Attacked) -> None:
    def unsigned(algorithm: str) -> Attack:
        return serving(
            lambda node: forged(dump_json(header_of(node, alg=algorithm)), dump_json(claims_of(node)), lambda text: b"")
        )

    attacks = [unsigned(algorithm) for algorithm in ("none", "None", "NONE", "nOnE", "", "EdDSA", "Ed25519")]
    attacked.refuses_each(attacks, "bad_signature")


def secrets_of(identity: Identity) -> Iterator[bytes]:
    """Every spelling of a public key that a careless verifier may take for a shared secret."""
    public = identity.operating_key.private.public_key()
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    yield pem
    yield pem.replace(b"\n", b"\r\n")
    yield public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    yield public.public_bytes_raw()
    yield json.dumps(identity.operating_key.public_jwk()).encode()
    yield base64.b64encode(public.public_bytes_raw())


def test_c28_public_key_as_a_shared_secret(attacked: Attacked) -> None:
    def attack(secret: bytes, algorithm: str) -> Attack:
        digest = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}[algorithm]
        return serving(
            lambda node: forged(
                dump_json(header_of(node, alg=algorithm)),
                dump_json(claims_of(node)),
                lambda text: hmac.digest(secret, text, digest),
            )
        )

    identity = attacked.honest.identity
    attacks = [attack(secret, name) for secret in secrets_of(identity) for name in ("HS256", "HS512")]
    # and under the right name of the algorithm
    attacks.append(
        serving(
            lambda node: forged(
                dump_json(header_of(node)),
                dump_json(claims_of(node)),
                lambda text: hmac.digest(next(secrets_of(identity)), text, "sha512"),
            )
        )
    )
    attacked.refuses_each(attacks, "bad_signature")


def test_c29_other_algorithms_and_curves(attacked: Attacked) -> None:
    rsa_key = rsa.generate_private_key(65537, 2048)
    ec_key = ec.generate_private_key(ec.SECP256R1())
    other = ed448.Ed448PrivateKey.generate()
    signers = {
        "RS256": lambda text: rsa_key.sign(text, padding.PKCS1v15(), hashes.SHA256()),
        "PS256": lambda text: rsa_key.sign(text, padding.PSS(padding.MGF1(hashes.SHA256()), 32), hashes.SHA256()),
        "ES256": lambda text: ec_key.sign(text, ec.ECDSA(hashes.SHA256())),
        "EdDSA": other.sign,
        "Ed448": other.sign,
    }
    attacks = [
        serving(
            lambda node, name=name, sign=sign: forged(
                dump_json(header_of(node, alg=name)), dump_json(claims_of(node)), sign
            )
        )
        for name, sign in signers.items()
    ]
    attacked.refuses_each(attacks, "bad_signature")
    listed = b64url_encode(other.public_key().public_bytes_raw())

    def announce(node: SimulatedNode) -> None:
        """The configuration itself lists the key of the other curve."""
        claims = json.loads(base64.urlsafe_b64decode(node.configuration().split(".")[1] + "=="))
        claims["metadata"]["veza_node"]["jwks"]["keys"] = [{"kty": "OKP", "crv": "Ed448", "x": listed}]
        claims["iat"] += 60
        key = node.identity.federation_key
        assert key is not None
        header = {"alg": "EdDSA", "typ": "entity-statement+jwt", "kid": key.kid}
        node.configuration_token = forged(dump_json(header), dump_json(claims), key.private.sign)

    attacked.refuses(announce, "malformed")


def test_c30_hostile_names_of_keys(attacked: Attacked) -> None:
    unknown = ["../../etc/passwd", "'; DROP TABLE log; --", "", "k" * 4000, "\u202e\u200b", "a\r\nb: c", "%s%n{0}"]
    attacked.refuses_each([heading(kid=kid) for kid in unknown], "unknown_key")
    malformed: list[object] = ["a\x00b", 5, None, [], {}, True]
    attacked.refuses_each([heading(kid=kid) for kid in malformed], "malformed")
    attacked.refuses(heading(kid="k" * 100_000), "too_large")
    for record in attacked.logs.records:
        assert "\n" not in record.getMessage()


def test_c31_keys_in_the_header(attacked: Attacked) -> None:
    thief = named_key("thief")
    members: dict[str, object] = {
        "jwk": thief.public_jwk(),
        "jku": "https://evil.example/keys",
        "x5u": "https://evil.example/certificate",
        "x5c": ["MIIB"],
        "x5t#S256": "AAAA",
    }
    attacked.network.forget_requests()
    attacked.refuses_each([heading(**{name: value}) for name, value in members.items()], "bad_header")
    assert attacked.network.asked("evil.example") == 0


def test_c32_extensions_that_must_be_understood(attacked: Attacked) -> None:
    headings = [heading(crit=["x"]), heading(b64=False), heading(crit=["b64"], b64=False), heading(zip="DEF")]
    attacked.refuses_each([*headings, heading(cty="JWT"), heading(typ=...), heading(kid=...)], "bad_header")


def test_c34_times_that_are_missing_or_of_another_type(attacked: Attacked) -> None:
    soon = int(attacked.now.timestamp()) + 7200
    attacks = [
        claiming(exp=...),
        claiming(iat=...),
        claiming(exp=str(soon)),
        claiming(exp=True),
        claiming(exp=soon + 0.5),
        claiming(exp=0),
        claiming(exp=int(attacked.now.timestamp()) + 3650 * 86_400),
        claiming(nbf=0),
    ]
    attacked.refuses_each(attacks, "malformed")


def test_c35_signed_in_the_future(attacked: Attacked) -> None:
    def ahead(seconds: int) -> Attack:
        def attack(node: SimulatedNode) -> None:
            node.grow(10)
            node.now += dt.timedelta(seconds=seconds)

        return attack

    attacked.refuses_each([ahead(301), ahead(86_400)], "not_yet_valid")


def test_c37_numbers_that_are_none(attacked: Attacked) -> None:
    texts = (b"NaN", b"Infinity", b"-Infinity", b"1e400", b"9" * 5000, b"9223372036854775808", b"9007199254740992")
    attacked.refuses_each([forging.writing("exp", text) for text in texts], "malformed")


def test_c38_nesting_without_end(attacked: Attacked) -> None:
    deep = b"[" * 200_000 + b"]" * 200_000
    shallow = b"[" * 2000 + b"]" * 2000
    attacks = [
        serving(lambda node: signed(node, header=shallow)),
        serving(lambda node: signed(node, claims=shallow)),
        forging.writing("root", shallow),
        forging.writing("root", b'{"a":' * 500 + b"1" + b"}" * 500),
    ]
    attacked.refuses_each(attacks, "malformed")
    attacked.refuses(serving(lambda node: signed(node, header=deep)), "too_large")
    attacked.refuses(growing(deep_line), "bad_entry")

    attacked.impostor()
    attacked.network.faults["/list"] = lambda url: answer(deep, JSON)
    assert {each.result for each in attacked.follower.pull_all().values()} == {"ok"}
    assert attacked.counted(attacked.network.anchor.entity_id, "malformed") == 1
    statement = forged(b'{"alg":"EdDSA","typ":"entity-statement+jwt","kid":"k"}', b"[" * 40_000, lambda text: b"x")
    assert refused_post(attacked, statement) == "malformed"


def deep_line(node: SimulatedNode) -> None:
    """A page of ten lines, one of which is nothing but brackets."""
    node.page_lie = lambda start, page: b"[" * 100_000 + b"]" * 100_000 + b"\n" + lines(page[1:])


def test_c39_token_of_ten_megabytes(attacked: Attacked) -> None:
    huge = b"x" * 10_000_000
    node = attacked.follower.node
    with peak_memory_at_most(16 * MIB), pytest.raises(FederationError, match="too_large"):
        receive_statement(node, huge, attacked.now)
    attacked.refuses(serving(lambda node: huge), "too_large")
    transport = HttpTransport(insecure_urls=True)
    with (
        RawServer(http_answer(huge)) as server,
        peak_memory_at_most(16 * MIB),
        pytest.raises(PeerResponseError, match="too_large"),
    ):
        transport.get(server.url, accept=JWT, max_bytes=64 * 1024, seconds=10)
    transport.close()


def test_c41_one_key_for_two_countries(attacked: Attacked) -> None:
    stolen = attacked.honest.identity.federation_key
    impostor = SimulatedNode(Identity("SI", "https://si.example", stolen, named_key("si operating")), attacked.now)
    attacked.network.nodes[impostor.entity_id] = impostor
    attacked.network.anchor.enrol(impostor)
    before = attacked.picture()
    results = attacked.follower.pull_all()
    assert {code: each.result for code, each in results.items()} == {
        "SI": "key_reused",
        "RS": "ok",
        "MK": "ok",
        "HR": "ok",
    }
    assert attacked.counted("SI", "key_reused") == 1
    assert attacked.picture()["entry"] == before["entry"]
    del attacked.network.anchor.enrolled[impostor.entity_id]
    # an operating key that another lists too is shown, and shuts nobody out
    attacked.follower.pass_time(MINUTE)
    bystander = attacked.network.nodes["https://mk.example"]
    copied = attacked.honest.identity.operating_key
    bystander.identity = Identity(
        "MK", bystander.entity_id, bystander.identity.federation_key, bystander.identity.operating_key, (copied,)
    )
    bystander.now = attacked.now
    assert {each.result for each in attacked.follower.pull_all().values()} == {"ok"}
    with reading(attacked.follower.engine) as session:
        assert shared_operating_keys(session) == {copied.kid: ["MK", "RS"]}


def test_c43_two_processes_sign_one_log(attacked: Attacked) -> None:
    """Of two that append from the same head one wins; the other is told, and no second root is signed."""
    node = attacked.follower.node
    with reading(node.engine) as session:
        stale = load_head(session, "ME")
    assert stale is not None

    def append(number: int) -> None:
        entry = make_put(stale.size, f"member/m-{number}", duty_officer(number), attacked.now, SALT)
        frontier = stale.frontier.append(leaf_hash(entry.header))
        checkpoint = make_checkpoint(node.identity, frontier.size, frontier.root(), attacked.now)
        with writing(node.engine) as session:
            append_entries(session, stale, [entry], frontier, checkpoint, attacked.now)

    append(1)
    before = attacked.picture("ME")
    with pytest.raises(ConcurrentAppendError, match="it has moved"):
        append(2)
    assert attacked.picture("ME") == before
    attacked.follower.check_logs()
