"""Points of public keys: on their curve, of full order, and written plainly."""

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from pikaserver.asn1 import der
from pikaserver.asn1.identifiers import key_algorithm, key_bits
from pikaserver.authority.key_policy import curve_points
from pikaserver.authority.key_policy.lists import built_in_key_list
from pikaserver.authority.key_policy.policy import KeyPolicy
from pikaserver.testing.damage import altered
from tests.authority.judged_keys import octets, refusal

P25519 = 2**255 - 19
P448 = 2**448 - 2**224 - 1


def edwards_spki(raw):
    oid = "1.3.101.112" if len(raw) == 32 else "1.3.101.113"
    return der.sequence(der.sequence(der.oid(oid)), der.bit_string(raw))


@pytest.fixture(scope="module")
def policy():
    return KeyPolicy([built_in_key_list()])


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1(), ec.SECP521R1()])
def test_points_must_be_on_their_curve_and_written_plainly(policy, curve):
    """SP 800-56A section 5.6.2.3: on the curve, not infinity; and uncompressed."""
    key = ec.generate_private_key(curve).public_key()
    good = octets(key)
    algorithm = key_algorithm(good)
    infinity = der.sequence(algorithm, der.bit_string(b"\x00"))
    compressed = der.sequence(
        algorithm, der.bit_string(key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))
    )

    assert "not valid" in refusal(policy, altered(good))
    assert "not valid" in refusal(policy, infinity)
    assert "usual encoding" in refusal(policy, compressed)


def test_a_point_of_another_curve_is_refused(policy):
    """The curve in the key's algorithm is the one that counts."""
    p256 = octets(ec.generate_private_key(ec.SECP256R1()).public_key())
    k256 = octets(ec.generate_private_key(ec.SECP256K1()).public_key())

    assert "not valid" in refusal(
        policy, der.sequence(key_algorithm(k256), der.bit_string(key_bits(p256)))
    )


SMALL_25519 = [
    0,
    1,
    P25519 - 1,
    curve_points._ORDER_8,  # noqa: SLF001 - the constant is what is checked
    P25519 - curve_points._ORDER_8,  # noqa: SLF001 - the constant is what is checked
]


@pytest.mark.parametrize("sign", [0, 1])
@pytest.mark.parametrize("y", SMALL_25519)
def test_points_of_small_order_are_refused(policy, y, sign):
    """RFC 8032: such a key verifies one signature for many messages."""
    raw = (y | sign << 255).to_bytes(32, "little")

    assert "small order" in refusal(policy, edwards_spki(raw))


@pytest.mark.parametrize("y", SMALL_25519)
def test_the_points_of_small_order_are_what_they_are_called(y):
    """Eight times such a point is the neutral element: computed here from RFC 8032's formulas."""
    d = -121665 * pow(121666, -1, P25519) % P25519
    square = (y * y - 1) * pow(d * y * y + 1, -1, P25519) % P25519
    x = pow(square, (P25519 + 3) // 8, P25519)
    if (x * x - square) % P25519:
        x = x * pow(2, (P25519 - 1) // 4, P25519) % P25519
    assert 0 == (x * x - square) % P25519

    for _ in range(3):
        k = d * x * x * y * y
        x, y = (
            2 * x * y * pow(1 + k, -1, P25519) % P25519,
            (y * y + x * x) * pow(1 - k, -1, P25519) % P25519,
        )

    assert (0, 1) == (x, y)


@pytest.mark.parametrize("y", [0, 1, P448 - 1])
def test_small_orders_of_ed448_are_refused(policy, y):
    """RFC 8032 section 5.2: cofactor 4."""
    assert "small order" in refusal(policy, edwards_spki(y.to_bytes(57, "little")))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        ((P25519 + 1).to_bytes(32, "little"), "canonically"),
        (b"\xff" * 32, "canonically"),
        ((2).to_bytes(32, "little"), "not on the curve"),
        ((P448 + 1).to_bytes(57, "little"), "canonically"),
    ],
)
def test_octets_that_are_no_point_are_refused(policy, raw, why):
    """OpenSSL takes any octets of the right length."""
    assert why in refusal(policy, edwards_spki(raw))


@given(st.binary(min_size=32, max_size=32))
def test_about_half_of_all_octets_are_points(raw):
    """The decoder agrees with squares modulo p, and never fails."""
    assert curve_points.edwards_weakness(raw) in (
        None,
        "its point is not on the curve",
        "its point is not encoded canonically",
        "its point has a small order",
    )
