"""What NATS asks and wants as an answer: JWTs signed by nkeys, in an encrypted box where the bus has an xkey.

Source: NATS ADR-26 (auth callout) and github.com/nats-io/jwt, version 2 of its claims.
"""

import base64
import hashlib
from typing import Any, Final

import msgspec

from veg_contracts.base import Value, encode
from veg_runtime.nkeys import Curve, KeyFormatError, Kind, SealError, Signer, read_public_key, verifies

# A token is some 1.5 KiB, a request with it 3; a server takes 1 MiB from a client before it knows who that is.
REQUEST_BYTES_MAX: Final = 64 * 1024
_HEADER: Final = {"typ": "JWT", "alg": "ed25519-nkey"}
_AUDIENCE: Final = "nats-authorization-request"
_VERSION: Final = 2


class MalformedRequestError(ValueError):
    """A message is no question of a NATS server. Nobody is there to be answered."""


class Request(Value, frozen=True, kw_only=True):
    """One question: who is the client to whom the server has given the key `user_nkey`, and shows `token`?

    `server` is the server's public key; `encrypts_to` that for the answer's encryption, or empty; `host` the client's
    address as the server sees it.
    """

    server: str
    encrypts_to: str
    user_nkey: str
    host: str
    token: str

    def __repr__(self) -> str:
        return f"Request(server={self.server!r}, host={self.host!r})"


class _ServerId(msgspec.Struct):
    id: str


class _Client(msgspec.Struct):
    host: str = ""


class _Options(msgspec.Struct):
    auth_token: str = ""


class _Question(msgspec.Struct):
    server_id: _ServerId
    user_nkey: str
    client_info: _Client
    connect_opts: _Options


class _Claims(msgspec.Struct):
    iss: str
    aud: str
    nats: _Question


def read_request(body: bytes, encrypts_to: str, curve: Curve | None) -> Request:
    """Read a question. `encrypts_to` is the header by which a server asks for encryption, `curve` our pair for it.

    Raises:
        MalformedRequestError: it is none; the message says why and repeats nothing of it.
    """
    if len(body) > REQUEST_BYTES_MAX:
        raise MalformedRequestError(f"{len(body)} bytes, at most {REQUEST_BYTES_MAX} are allowed")
    if bool(encrypts_to) != (curve is not None):
        here, there = ("no", "has one") if curve is None else ("a", "has none")
        raise MalformedRequestError(f"there is {here} VEG_XKEY_SEED here and NATS' configuration {there}")
    try:
        text = curve.open(body, encrypts_to) if curve else body
        claims = _read_token(text)
        read_public_key(Kind.USER, claims.nats.user_nkey)
    except (KeyFormatError, SealError) as error:
        raise MalformedRequestError(str(error)) from error
    if claims.aud != _AUDIENCE or claims.iss != claims.nats.server_id.id:
        raise MalformedRequestError("it is a token for something else")
    return Request(
        server=claims.iss,
        encrypts_to=encrypts_to,
        user_nkey=claims.nats.user_nkey,
        host=claims.nats.client_info.host,
        token=claims.nats.connect_opts.auth_token,
    )


def _read_token(text: bytes) -> _Claims:
    try:
        header, payload, signature = text.split(b".")
        if msgspec.json.decode(_unpadded(header)) != _HEADER:
            raise MalformedRequestError("its header is none of NATS' tokens")
        claims = msgspec.json.decode(_unpadded(payload), type=_Claims)
        signed = verifies(Kind.SERVER, claims.iss, header + b"." + payload, _unpadded(signature))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequestError("its claims are not those of a question") from error
    except KeyFormatError:
        raise
    except ValueError as error:
        if isinstance(error, MalformedRequestError):
            raise
        raise MalformedRequestError("it is no token") from error
    if not signed:
        raise MalformedRequestError("its signature is wrong")
    return claims


def allow(request: Request, user: dict[str, Any], issuer: Signer, now_s: int, valid_s: int) -> bytes:
    """The answer that lets the client in: `user` are the claims of `grant.claims`, valid until `now_s + valid_s`."""
    claims = {**user, "sub": request.user_nkey, "exp": now_s + valid_s}
    return _answer(request, {"jwt": _token(claims, issuer, now_s).decode()}, issuer, now_s)


def deny(request: Request, reason: str, issuer: Signer, now_s: int) -> bytes:
    """The answer that keeps the client out. The server logs the reason, and does not tell the client."""
    return _answer(request, {"error": reason}, issuer, now_s)


def seal(answer: bytes, request: Request, curve: Curve | None) -> bytes:
    """Encrypted for the server that asked, if it wants that."""
    return curve.seal(answer, request.encrypts_to) if curve else answer


def _answer(request: Request, said: dict[str, str], issuer: Signer, now_s: int) -> bytes:
    nats = {**said, "type": "authorization_response", "version": _VERSION}
    return _token({"sub": request.user_nkey, "aud": request.server, "nats": nats}, issuer, now_s)


def _token(claims: dict[str, Any], issuer: Signer, now_s: int) -> bytes:
    whole = {**claims, "iss": issuer.public, "iat": now_s}
    whole["jti"] = base64.b32encode(hashlib.sha256(encode(whole)).digest()).decode().rstrip("=")
    text = _padless(encode(_HEADER)) + b"." + _padless(encode(whole))
    return text + b"." + _padless(issuer.sign(text))


def _padless(data: bytes) -> bytes:
    return base64.urlsafe_b64encode(data).rstrip(b"=")


def _unpadded(text: bytes) -> bytes:
    return base64.b64decode(text + b"=" * (-len(text) % 4), altchars=b"-_", validate=True)
