import base64
import json
from typing import Any

import pytest

from veg_bus_auth import exchange, grant
from veg_bus_auth.exchange import MalformedRequestError
from veg_bus_auth.grant import Grant
from veg_runtime import nkeys
from veg_runtime.nkeys import Curve, Kind, Signer

SERVER = Signer.read(Kind.SERVER, nkeys.new_seed(Kind.SERVER))
ISSUER = Signer.read(Kind.ACCOUNT, nkeys.new_seed(Kind.ACCOUNT))
USER = Signer.read(Kind.USER, nkeys.new_seed(Kind.USER)).public
OURS, THEIRS = (Curve.read(nkeys.new_seed(Kind.CURVE)) for _ in range(2))
HEADER = {"typ": "JWT", "alg": "ed25519-nkey"}


def question(**changes: Any) -> dict[str, Any]:
    nats = {
        "server_id": {"id": SERVER.public, "name": "nats"},
        "user_nkey": USER,
        "client_info": {"host": "10.0.0.7", "id": 5},
        "connect_opts": {"auth_token": "a-token", "protocol": 1},
    }
    return {"iss": SERVER.public, "aud": "nats-authorization-request", "nats": nats | changes}


def signed(claims: Any, header: Any = HEADER, signer: Signer = SERVER) -> bytes:
    text = b".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=") for part in (header, claims))
    return text + b"." + base64.urlsafe_b64encode(signer.sign(text)).rstrip(b"=")


def opened(token: bytes | str) -> dict[str, Any]:
    text = token if isinstance(token, bytes) else token.encode()
    head, payload, signature = (base64.urlsafe_b64decode(part + b"==") for part in text.split(b"."))
    assert json.loads(head) == HEADER
    assert nkeys.verifies(Kind.ACCOUNT, ISSUER.public, text.rpartition(b".")[0], signature)
    claims: dict[str, Any] = json.loads(payload)
    return claims


def test_a_question_is_read() -> None:
    request = exchange.read_request(signed(question()), "", None)
    assert (request.server, request.user_nkey, request.host) == (SERVER.public, USER, "10.0.0.7")
    assert request.token == "a-token"
    assert "a-token" not in repr(request)


def test_an_encrypted_question_is_answered_encrypted() -> None:
    request = exchange.read_request(THEIRS.seal(signed(question()), OURS.public), THEIRS.public, OURS)
    sealed = exchange.seal(exchange.deny(request, "no", ISSUER, 7), request, OURS)
    assert opened(THEIRS.open(sealed, OURS.public))["nats"]["error"] == "no"


def test_a_denial_says_why() -> None:
    claims = opened(exchange.deny(exchange.read_request(signed(question()), "", None), "no", ISSUER, 7))
    assert (claims["iss"], claims["sub"], claims["aud"], claims["iat"]) == (ISSUER.public, USER, SERVER.public, 7)
    assert claims["nats"] == {"error": "no", "type": "authorization_response", "version": 2}


def test_a_user_is_signed_for_that_client() -> None:
    allowed = grant.claims(Grant(gateway="default/gateway1", pod="gateway1-abc", pod_uid="7e1c"))
    request = exchange.read_request(signed(question()), "", None)
    user = opened(opened(exchange.allow(request, allowed, ISSUER, 7, 60))["nats"]["jwt"])
    assert (user["sub"], user["aud"], user["iat"], user["exp"]) == (USER, "AGENTS", 7, 67)
    assert user["nats"]["pub"]["allow"][0] == "veg.evt.agent.default.gateway1.gateway1-abc"
    assert user["nats"]["allowed_connection_types"] == ["STANDARD"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "no token"),
        (b"a.b", "no token"),
        (b"a.b.c", "claims|no token"),
        (b"....", "no token"),
        (b"\xff.\xff.\xff", "no token|claims"),
        (b"x" * (exchange.REQUEST_BYTES_MAX + 1), "at most 65536"),
        (signed(question(), {"typ": "JWT", "alg": "none"}), "header"),
        (signed(question(), []), "header"),
        (signed([]), "claims"),
        (signed({"iss": SERVER.public}), "claims"),
        (signed(question(user_nkey="UAAA")), "begins with U"),
        (signed(question(user_nkey=SERVER.public)), "begins with U"),
        (signed(question() | {"aud": "something"}), "something else"),
        (signed(question(server_id={"id": "NOTHER"})), "something else"),
        (signed(question(), signer=ISSUER), "signature"),
        (signed(question() | {"iss": "N"}), "begins with N"),
        (signed(question())[:-4] + b"AAAA", "signature|no token"),
        (signed(question()) + b"AA", "no token|signature"),
    ],
)
def test_what_is_no_question_is_refused(body: bytes, said: str) -> None:
    with pytest.raises(MalformedRequestError, match=said) as refused:
        exchange.read_request(body, "", None)
    assert "a-token" not in str(refused.value)


def test_both_sides_encrypt_or_none() -> None:
    with pytest.raises(MalformedRequestError, match="a VEG_XKEY_SEED here"):
        exchange.read_request(signed(question()), "", OURS)
    with pytest.raises(MalformedRequestError, match="no VEG_XKEY_SEED here"):
        exchange.read_request(signed(question()), THEIRS.public, None)
    with pytest.raises(MalformedRequestError, match="not encrypted"):
        exchange.read_request(signed(question()), THEIRS.public, OURS)
