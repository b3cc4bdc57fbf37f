"""Targets that are directories: CRLs and certificates as RFC 4523 lets clients look for them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from pikaserver.api.certificates import AuthorityRecord, Generation
from pikaserver.api.crls import DELTA_CRL, CrlRecord
from pikaserver.api.errors import ConfigurationError, Conflict, MalformedRequest
from pikaserver.api.outgoing import read_secret
from pikaserver.api.publishing import Target
from pikaserver.asn1.crl_identity import read_identity
from pikaserver_publish.ldap_client import (
    ALREADY_EXISTS,
    LdapConnection,
    LdapRefused,
    ldap_connection,
)
from pikaserver_publish.selection import Selection
from pikaserver_publish.settings import LdapTarget

FULL_ATTRIBUTE = "certificateRevocationList;binary"
DELTA_ATTRIBUTE = "deltaRevocationList;binary"
CERTIFICATE_ATTRIBUTE = "cACertificate;binary"
OBJECT_CLASSES = (b"top", b"cRLDistributionPoint", b"pkiCA", b"deltaCRL")
"""One structural class with a common name, and those that allow all three attributes."""

_COMMON_NAME = re.compile(r"(?i)cn\s*=\s*([^,+=\\#\"<>;]+)(?:,|$)")


class LdapPublisher:
    """Replaces attributes; entries that are missing are made, if the settings allow it."""

    def __init__(self, name: str, settings: LdapTarget, selection: Selection) -> None:
        self.name = name
        self._settings = settings
        self._selection = selection
        for entry in (settings.crl, settings.certificate):
            if entry is not None and settings.create and not _COMMON_NAME.match(entry):
                raise ConfigurationError(
                    f"{entry!r} should begin with a plain cn=, or create should be false"
                )

    @property
    def target(self) -> Target:
        """See ``pikaserver.api.publishing.TargetPublisher``."""
        settings = self._settings
        names = " and ".join(name for name in (settings.crl, settings.certificate) if name)
        return Target(
            place=f"{settings.url} {names}",
            wants=self._selection.wants,
            certificate=self._publish_certificate,
            wants_certificate=self._selection.wants_certificate,
            probe=self._probe,
        )

    def publish(self, crl: CrlRecord) -> None:
        """See ``pikaserver.api.publishing.Publisher``.

        A message of LDAP is one piece, so the CRL is in memory as a whole here.
        """
        if self._selection.crl is None:
            return
        entry = self._selection.crl.of_crl(crl.summary)
        attribute = DELTA_ATTRIBUTE if crl.scope == DELTA_CRL else FULL_ATTRIBUTE
        with self._signed_in() as connection:
            there = connection.read(entry, attribute)
            _refuse_newer(there or [], crl.crl, entry)
            self._store(connection, entry, attribute, [crl.crl], is_there=there is not None)

    def _publish_certificate(self, authority: AuthorityRecord, generation: Generation) -> None:
        if self._selection.certificate is None:
            return
        entry = self._selection.certificate.of_certificate(authority.name, generation.number)
        values = list(dict.fromkeys((generation.certificate, *generation.others)))
        with self._signed_in() as connection:
            is_there = connection.read(entry, CERTIFICATE_ATTRIBUTE) is not None
            self._store(connection, entry, CERTIFICATE_ATTRIBUTE, values, is_there=is_there)

    def _store(
        self,
        connection: LdapConnection,
        entry: str,
        attribute: str,
        values: list[bytes],
        *,
        is_there: bool,
    ) -> None:
        if not is_there and self._settings.create:
            match = _COMMON_NAME.match(entry)
            common_name = match[1].strip().encode() if match else b""
            new = {"objectClass": OBJECT_CLASSES, "cn": [common_name], attribute: values}
            try:
                connection.add(entry, new)
            except LdapRefused as refused:
                # Another target of ours may have made it in this moment.
                if refused.code != ALREADY_EXISTS:
                    raise
            else:
                return
        connection.replace(entry, attribute, values)

    @contextmanager
    def _signed_in(self) -> Iterator[LdapConnection]:
        settings = self._settings
        with ldap_connection(
            settings.url, settings, settings.timeout_seconds, start_tls=settings.start_tls
        ) as connection:
            if settings.bind_dn is not None and settings.password_file is not None:
                connection.bind_simple(settings.bind_dn, read_secret(settings.password_file))
            else:
                connection.bind_external()
            yield connection

    def _probe(self) -> str:
        """Sign in, and look for the entry that the others stand below."""
        template = self._settings.crl or self._settings.certificate or ""
        above = template.partition(",")[2].strip()
        with self._signed_in() as connection:
            found = connection.read(above, "objectClass") if above and "{" not in above else []
        if found is None:
            return f"signed in, and there is no {above}"
        return f"signed in, and found {above}" if found else "signed in"


def _refuse_newer(there: list[bytes], ours: bytes, entry: str) -> None:
    """Refuse to replace a newer CRL of the same line.

    Raises:
        Conflict: one that is there is newer.
    """
    new = read_identity(ours)
    for octets in there:
        try:
            old = read_identity(octets)
        except MalformedRequest:
            continue
        if old.is_line_of(new) and new.is_older_than(old):
            raise Conflict(f"{entry} has CRL {old.number}, newer than {new.number}")
