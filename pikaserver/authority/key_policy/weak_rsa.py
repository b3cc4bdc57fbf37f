"""RSA moduli that can be factored: small factors, near primes, and those of faulty chips."""

from functools import cache
from math import gcd, isqrt, prod

_FACTOR_LIMIT = 752
_FERMAT_ROUNDS = 110
_FINGERPRINT_LIMIT = 167
_ROCA_GENERATOR = 65537


def weakness(modulus: int) -> str | None:
    """Return what makes a modulus weak, ``None`` for nothing that we know of.

    Even or with a factor below 752 (CA/Browser Forum Baseline Requirements section 6.1.6);
    a product of primes so near that Fermat's method finds them in 110 rounds
    (CVE-2022-26320); the fingerprint of the RSA library with ROCA (CVE-2017-15361).
    """
    factor = gcd(modulus, _small_primes_product())
    if factor != 1:
        return f"the modulus has a factor below {_FACTOR_LIMIT}"
    if _fermat_finds_factors(modulus):
        return "the two primes are so near to each other that Fermat's method finds them"
    if _has_roca_fingerprint(modulus):
        return "it has the fingerprint of ROCA (CVE-2017-15361)"
    return None


def _fermat_finds_factors(modulus: int) -> bool:
    # modulus = a * a - b * b with a just above the root means the factors a - b and a + b.
    a = isqrt(modulus)
    if a * a < modulus:
        a += 1
    for _ in range(_FERMAT_ROUNDS):
        square = a * a - modulus
        if _may_be_square(square) and isqrt(square) ** 2 == square:
            return True
        a += 1
    return False


def _may_be_square(number: int) -> bool:
    """Tell whether a number is a square modulo two small ones: of others one in 120 is.

    A root of 2048 bits takes longer than all else that is done here.
    """
    squares_64, squares_45045 = _squares()
    return number & 63 in squares_64 and number % 45_045 in squares_45045


def _has_roca_fingerprint(modulus: int) -> bool:
    """Say whether modulo every small prime the modulus is a power of 65537.

    The faulty library makes primes of the form k * M + 65537**a mod M, with M the product
    of small primes, so its moduli are such powers too.  Of other moduli less than one in a
    hundred million is.
    """
    return all(modulus % prime in powers for prime, powers in _roca_powers())


def _primes_below(limit: int) -> list[int]:
    return [
        number
        for number in range(2, limit)
        if all(number % divisor for divisor in range(2, isqrt(number) + 1))
    ]


@cache
def _squares() -> tuple[frozenset[int], frozenset[int]]:
    # 45045 is 9 * 5 * 7 * 11 * 13: each of them leaves out about half of what is left.
    return _squares_modulo(64), _squares_modulo(45_045)


def _squares_modulo(base: int) -> frozenset[int]:
    return frozenset(number * number % base for number in range(base))


@cache
def _small_primes_product() -> int:
    return prod(_primes_below(_FACTOR_LIMIT))


@cache
def _roca_powers() -> tuple[tuple[int, frozenset[int]], ...]:
    # Every library of keys from 512 bits on uses at least the first 39 primes, 2 to 167.
    return tuple(
        (prime, frozenset(pow(_ROCA_GENERATOR, exponent, prime) for exponent in range(prime)))
        for prime in _primes_below(_FINGERPRINT_LIMIT + 1)
    )
