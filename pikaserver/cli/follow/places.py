"""The local files: each holds the newest CRLs of one or more URLs."""

import logging
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509

from pikaserver.api.errors import PikaserverError
from pikaserver.api.files import replace_file
from pikaserver.asn1.crl_reading import LARGEST_CRL
from pikaserver.asn1.pem import is_pem, read_pem, write_pem
from pikaserver.cli.follow.verifying import (
    LABEL,
    FoundCrl,
    check_age,
    check_part,
    covers_the_same,
    read_found,
)

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Place:
    """One file; ``urls`` are those whose CRLs it holds, one after the other.

    What lies there when we begin counts: nothing older takes its place, and until every URL
    has answered once nothing is taken away.
    """

    path: Path
    urls: Sequence[str]
    pem: bool
    issuers: Sequence[x509.Certificate]
    newest: dict[str, FoundCrl] = field(default_factory=dict)
    holds_until: datetime | None = None
    """When the first of its CRLs ends; ``None`` while one is missing."""
    warned_of: datetime | None = None
    _written: os.stat_result | None = None

    def __post_init__(self) -> None:
        self._look_through(list(self.there()))

    def take(self, url: str, octets: bytes, now: datetime) -> bool:
        """Let a CRL take its place; tell whether the file is another one now.

        Raises:
            PikaserverError: it may not; the file is as it was.
            OSError: the file cannot be written.
        """
        new = read_found(octets, self.issuers)
        there = list(self.there())
        before = self.newest.get(url)
        if before is None and len(self.urls) == 1 and len(there) == 1:
            before = there[0]
        check_part(new, before)
        check_age(new, there, now)
        self.newest[url] = new
        chosen = self._chosen(there)
        wanted = self._content(chosen)
        # Looked at before it is read or put there: what somebody does after that is seen.
        self._written = self._stat()
        changed = self._octets_there() != wanted
        if changed:
            replace_file(self.path, [wanted], before=self._remember)
            _log.info("CRL written", extra={"file": str(self.path), "crl": new.name, "url": url})
        self._look_through(chosen)
        return changed

    def is_intact(self) -> bool:
        """Tell whether the file is the one that we wrote."""
        now, then = self._stat(), self._written
        if now is None or then is None:
            return False
        return (now.st_ino, now.st_size, now.st_mtime_ns) == (
            then.st_ino,
            then.st_size,
            then.st_mtime_ns,
        )

    def there(self) -> Iterator[FoundCrl]:
        """Yield the CRLs in the file that are by our issuers; whatever else is there goes."""
        octets = self._octets_there()
        if octets is None:
            return
        try:
            ders = read_pem(octets, LABEL) if is_pem(octets) else [octets]
        except PikaserverError:
            return
        for der in ders:
            try:
                yield read_found(der, self.issuers)
            except PikaserverError:
                continue

    def _remember(self, new: Path) -> None:
        self._written = new.stat()

    def _look_through(self, crls: Sequence[FoundCrl]) -> None:
        ends = [crl.next_update for crl in crls]
        self.holds_until = min(ends) if len(ends) >= len(self.urls) else None

    def _chosen(self, there: Sequence[FoundCrl]) -> list[FoundCrl]:
        """Return what belongs there: of each URL the newest, else what is there by now."""
        chosen = [self.newest[url] for url in self.urls if url in self.newest]
        if len(chosen) < len(self.urls):
            fresh = tuple(chosen)
            chosen += [old for old in there if not any(covers_the_same(old, one) for one in fresh)]
        return chosen

    def _content(self, chosen: Sequence[FoundCrl]) -> bytes:
        ders = list(dict.fromkeys(crl.der for crl in chosen))
        return b"".join(write_pem(LABEL, der) for der in ders) if self.pem else ders[0]

    def _octets_there(self) -> bytes | None:
        try:
            with self.path.open("rb") as file:
                return file.read(2 * LARGEST_CRL * len(self.urls))
        except FileNotFoundError:
            return None

    def _stat(self) -> os.stat_result | None:
        try:
            return self.path.stat()
        except FileNotFoundError:
            return None
