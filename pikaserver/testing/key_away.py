"""A key that goes away between two signatures, as a token does that somebody pulls."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from pikaserver.api.errors import KeyUnavailable
from pikaserver.signing.sign import sign_tbs


@contextmanager
def key_away(at: int) -> Iterator[list[tuple[Any, ...]]]:
    """Let the certificate of this number, counted from 1, find no key inside the block.

    Yields:
        What each signature was asked with so far, as `pikaserver.signing.sign.sign_tbs` takes it.
    """
    asked: list[tuple[Any, ...]] = []

    def away(*given: Any) -> bytes:  # noqa: ANN401 - handed on as it came
        asked.append(given)
        if len(asked) == at:
            raise KeyUnavailable("the token is being carried over")
        return sign_tbs(*given)

    with patch("pikaserver.authority.issuance.sign_tbs", away):
        yield asked
