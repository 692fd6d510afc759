"""Keys as NATS writes them: pairs that sign (ed25519) and pairs that encrypt (x25519, "xkeys").

A key is the base32 text of prefix, 32 bytes and CRC-16/XMODEM; a box is `xkv1`, nonce and NaCl's box. Source:
github.com/nats-io/nkeys. For programs that bring PyNaCl themselves.
"""

import base64
import binascii
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final

import nacl.exceptions
import nacl.public
import nacl.signing
import nacl.utils

_SEED: Final = 18 << 3
_BOX_VERSION: Final = b"xkv1"
_RAW_BYTES: Final = 32


class Kind(IntEnum):
    """What a key is of. Its letter begins the public key, and comes after the S of the seed."""

    ACCOUNT = 0
    SERVER = 13 << 3
    USER = 20 << 3
    CURVE = 23 << 3

    @property
    def letter(self) -> str:
        return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[self >> 3]


class KeyFormatError(ValueError):
    """A text is no key of the kind that is wanted; the message does not repeat it, as it may be a seed."""


class SealError(ValueError):
    """A message is no box for this key of that sender."""


def public_key(kind: Kind, raw: bytes) -> str:
    return _encode(bytes([kind]) + raw)


def read_public_key(kind: Kind, text: str) -> bytes:
    """The 32 bytes of a public key.

    Raises:
        KeyFormatError: the text is none of this kind.
    """
    data = _decode(text, f"a public key that begins with {kind.letter}", 1 + _RAW_BYTES)
    if data[0] != kind:
        raise KeyFormatError(f"a public key that begins with {kind.letter} is wanted")
    return data[1:]


def seed(kind: Kind, raw: bytes) -> str:
    return _encode(bytes([_SEED | kind >> 5, (kind & 31) << 3]) + raw)


def read_seed(kind: Kind, text: str) -> bytes:
    """The 32 bytes of a seed.

    Raises:
        KeyFormatError: the text is none of this kind.
    """
    data = _decode(text, f"a seed that begins with S{kind.letter}", 2 + _RAW_BYTES)
    if data[:2] != bytes([_SEED | kind >> 5, (kind & 31) << 3]):
        raise KeyFormatError(f"a seed that begins with S{kind.letter} is wanted")
    return data[2:]


@dataclass(frozen=True)
class Signer:
    """An ed25519 pair."""

    kind: Kind
    raw: bytes = field(repr=False)

    @classmethod
    def read(cls, kind: Kind, text: str) -> "Signer":
        """From a seed. Raises KeyFormatError."""
        return cls(kind, read_seed(kind, text))

    @property
    def public(self) -> str:
        return public_key(self.kind, bytes(nacl.signing.SigningKey(self.raw).verify_key))

    def sign(self, message: bytes) -> bytes:
        return bytes(nacl.signing.SigningKey(self.raw).sign(message).signature)


def verifies(kind: Kind, public: str, message: bytes, signature: bytes) -> bool:
    """Whether the owner of that public key signed the message. Raises KeyFormatError."""
    key = nacl.signing.VerifyKey(read_public_key(kind, public))
    try:
        key.verify(message, signature)
    except (nacl.exceptions.BadSignatureError, ValueError):
        return False
    return True


@dataclass(frozen=True)
class Curve:
    """An x25519 pair."""

    raw: bytes = field(repr=False)

    @classmethod
    def read(cls, text: str) -> "Curve":
        """From a seed. Raises KeyFormatError."""
        return cls(read_seed(Kind.CURVE, text))

    @property
    def public(self) -> str:
        return public_key(Kind.CURVE, bytes(nacl.public.PrivateKey(self.raw).public_key))

    def seal(self, message: bytes, recipient: str) -> bytes:
        """For the owner of that public key alone. Raises KeyFormatError."""
        return _BOX_VERSION + bytes(self._box(recipient).encrypt(message))

    def open(self, sealed: bytes, sender: str) -> bytes:
        """What the owner of that public key sealed for this pair.

        Raises:
            SealError: it is not from there, not for us, or broken.
            KeyFormatError: the sender's key is none.
        """
        if not sealed.startswith(_BOX_VERSION):
            raise SealError("the message is not encrypted")
        try:
            return bytes(self._box(sender).decrypt(sealed[len(_BOX_VERSION) :]))
        except (nacl.exceptions.CryptoError, ValueError) as error:
            raise SealError("the message is encrypted for another key, or broken") from error

    def _box(self, other: str) -> nacl.public.Box:
        peer = nacl.public.PublicKey(read_public_key(Kind.CURVE, other))
        return nacl.public.Box(nacl.public.PrivateKey(self.raw), peer)


def new_seed(kind: Kind) -> str:
    """The seed of a new pair."""
    return seed(kind, nacl.utils.random(_RAW_BYTES))


def _encode(data: bytes) -> str:
    checksum = binascii.crc_hqx(data, 0).to_bytes(2, "little")
    return base64.b32encode(data + checksum).decode().rstrip("=")


def _decode(text: str, wanted: str, length: int) -> bytes:
    try:
        data = base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError as error:
        raise KeyFormatError(f"{wanted} is wanted") from error
    if len(data) != length + 2 or binascii.crc_hqx(data[:-2], 0).to_bytes(2, "little") != data[-2:]:
        raise KeyFormatError(f"{wanted} is wanted")
    return data[:-2]
