"""A serial leads to one certificate, or to the question whose."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import click
import pytest

from pikaserver.api.certificates import CertificateStatus
from pikaserver.cli.cert.found import one_certificate, query
from pikaserver.cli.cert.search import SearchOptions

NOW = datetime(2026, 5, 1, tzinfo=UTC)
NOTHING = dict.fromkeys(SearchOptions.__dataclass_fields__) | {"limit": 100}


@dataclass
class TwoAuthorities:
    """Both used the serial 1."""

    def find(self, wanted):
        """Answer like the database."""
        names = ("root", "issuing")
        return [
            SimpleNamespace(authority=name) for name in names if wanted.authority in (None, name)
        ]


def test_a_serial_of_two_authorities_is_asked_back():
    """Serials are unique per authority only; naming it is enough."""
    server = SimpleNamespace(certificates=TwoAuthorities())

    with pytest.raises(click.UsageError, match="add --authority, one of root, issuing"):
        one_certificate(server, 1, None)
    assert "issuing" == one_certificate(server, 1, "issuing").authority


def test_options_become_a_query():
    """Times count from now, fingerprints have no colons."""
    wishes = {"expires_within": timedelta(days=30), "fingerprint": "AB:CD", "status": "on-hold"}

    made = query(SearchOptions(**{**NOTHING, **wishes}), NOW)

    assert (NOW, NOW + timedelta(days=30)) == (made.expires_after, made.expires_before)
    assert ("abcd", CertificateStatus.ON_HOLD) == (made.fingerprint, made.status)
