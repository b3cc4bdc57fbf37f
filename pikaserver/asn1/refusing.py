"""One place that turns what cryptography raises while reading into `MalformedRequest`."""

from collections.abc import Iterator
from contextlib import contextmanager

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm

from pikaserver.api.errors import MalformedRequest

# AssertionError, LookupError and TypeError come out of its Python half: a bit string as
# country, an unknown number of a TLS feature, a string where a unique identifier stands.
_UNREADABLE = (
    ArithmeticError,
    AssertionError,
    LookupError,
    RecursionError,
    TypeError,
    UnsupportedAlgorithm,
    ValueError,
    Warning,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


@contextmanager
def refusing(what: str) -> Iterator[None]:
    """Read inside this block; whatever cannot be read becomes one sentence about `what`.

    Raises:
        MalformedRequest: reading failed.
    """
    try:
        yield
    except x509.DuplicateExtension as twice:
        raise MalformedRequest(
            f"the extension {twice.oid.dotted_string} is there twice in the {what}"
        ) from None
    except _UNREADABLE as broken:
        raise MalformedRequest(f"the {what} cannot be read: {broken}") from None
