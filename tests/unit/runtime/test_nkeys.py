import pytest

from veg_runtime import nkeys
from veg_runtime.nkeys import Curve, KeyFormatError, Kind, SealError, Signer

# Of NATS' documentation.
SEED = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY"
PUBLIC = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4"


def test_a_seed_has_the_public_key_that_nats_says() -> None:
    assert Signer.read(Kind.USER, SEED).public == PUBLIC


def test_what_is_signed_is_verified_and_nothing_else() -> None:
    signer = Signer.read(Kind.USER, SEED)
    signature = signer.sign(b"a")
    assert nkeys.verifies(Kind.USER, PUBLIC, b"a", signature)
    assert not nkeys.verifies(Kind.USER, PUBLIC, b"b", signature)
    assert not nkeys.verifies(Kind.USER, PUBLIC, b"a", b"")


@pytest.mark.parametrize("kind", list(Kind))
def test_a_key_begins_with_its_letter(kind: Kind) -> None:
    seed = nkeys.new_seed(kind)
    assert seed.startswith(f"S{kind.letter}")
    assert nkeys.seed(kind, nkeys.read_seed(kind, seed)) == seed
    assert nkeys.public_key(kind, b"x" * 32).startswith(kind.letter)
    assert nkeys.read_public_key(kind, nkeys.public_key(kind, b"x" * 32)) == b"x" * 32


@pytest.mark.parametrize("wrong", ["", "SA", SEED[:-1], SEED[:-1] + "A", SEED.lower(), PUBLIC, "é"])
def test_a_wrong_seed_is_not_repeated(wrong: str) -> None:
    with pytest.raises(KeyFormatError) as refused:
        Signer.read(Kind.USER, wrong)
    assert str(refused.value) == "a seed that begins with SU is wanted"


def test_a_seed_of_another_kind_is_refused() -> None:
    with pytest.raises(KeyFormatError):
        Signer.read(Kind.ACCOUNT, SEED)
    with pytest.raises(KeyFormatError):
        nkeys.read_public_key(Kind.SERVER, PUBLIC)


def test_a_box_is_opened_by_its_recipient_alone() -> None:
    alice, bob, eve = (Curve.read(nkeys.new_seed(Kind.CURVE)) for _ in range(3))
    sealed = alice.seal(b"token", bob.public)
    assert b"token" not in sealed
    assert bob.open(sealed, alice.public) == b"token"
    for reader, sender in ((eve, alice), (bob, eve)):
        with pytest.raises(SealError):
            reader.open(sealed, sender.public)
    for broken in (b"token", b"xkv1", sealed[:-1], sealed[:-1] + b"\0\0"):
        with pytest.raises(SealError):
            bob.open(broken, alice.public)


def test_no_key_shows_itself() -> None:
    assert "raw" not in repr(Signer.read(Kind.USER, SEED))
    assert "raw" not in repr(Curve.read(nkeys.new_seed(Kind.CURVE)))
