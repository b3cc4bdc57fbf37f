"""Targets that are folders: files replaced at one stroke, and their readers told."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from mmap import ACCESS_READ, mmap
from pathlib import Path
from tempfile import TemporaryFile
from typing import BinaryIO

from pikaserver.api.certificates import AuthorityRecord, Generation
from pikaserver.api.crls import CrlRecord
from pikaserver.api.errors import Conflict, MalformedRequest, NotFound
from pikaserver.api.files import replace_file, send_signal, touch
from pikaserver.api.publishing import Target
from pikaserver.asn1.crl_identity import CrlIdentity, read_identity
from pikaserver.asn1.pem import der_pieces
from pikaserver_publish.contents import CRL_LABEL, certificate_content, crl_content
from pikaserver_publish.selection import Selection
from pikaserver_publish.settings import FileTarget


class FilePublisher:
    """Writes files; a newer CRL of the same line is never replaced by an older one."""

    def __init__(self, name: str, settings: FileTarget, selection: Selection) -> None:
        self.name = name
        self._settings = settings
        self._selection = selection
        self._mode = int(settings.mode, 8)

    @property
    def target(self) -> Target:
        """See ``pikaserver.api.publishing.TargetPublisher``."""
        settings = self._settings
        names = [name for name in (settings.crl, settings.certificate) if name]
        return Target(
            place=f"{' '.join(names)} ({settings.form})",
            every_node=settings.every_node,
            wants=self._selection.wants,
            certificate=self._publish_certificate,
            wants_certificate=self._selection.wants_certificate,
            probe=self._probe,
        )

    def publish(self, crl: CrlRecord) -> None:
        """See ``pikaserver.api.publishing.Publisher``."""
        template = self._selection.crl
        if template is None:
            return
        path = Path(template.of_crl(crl.summary))
        content = crl_content(crl, self._settings.form)

        def check(new: Path) -> None:
            _refuse_newer(path, new)

        replace_file(path, content.pieces(), self._mode, before=check)
        self._tell()

    def _publish_certificate(self, authority: AuthorityRecord, generation: Generation) -> None:
        template = self._selection.certificate
        if template is None:
            return
        path = Path(template.of_certificate(authority.name, generation.number))
        content = certificate_content(generation, path.name)
        replace_file(path, content.pieces(), self._mode)
        self._tell()

    def _tell(self) -> None:
        """Tell the readers.

        A process that does not run reads the file when it starts, so that is no failure.
        """
        settings = self._settings
        if settings.touch is not None:
            touch(Path(settings.touch))
        if settings.signal is not None and settings.pid_file is not None:
            with suppress(NotFound):
                send_signal(Path(settings.pid_file), signal.Signals[f"SIG{settings.signal}"])

    def _probe(self) -> str:
        """Look whether files can be made in the folders that are known by now."""
        templates = (self._selection.crl, self._selection.certificate)
        folders = {str(Path(one.text).parent) for one in templates if one is not None}
        for folder in sorted(folders):
            if "{" not in folder:
                with TemporaryFile(dir=folder):
                    pass
        return f"can write to {' and '.join(sorted(folders))}"


def _refuse_newer(old: Path, new: Path) -> None:
    """Refuse to replace a newer CRL of the same line; anything else there may go.

    Raises:
        Conflict: the old file is the newer one.
    """
    there = _identity_of(old)
    ours = _identity_of(new)
    if there is None or ours is None or not there.is_line_of(ours):
        return
    if ours.is_older_than(there):
        raise Conflict(f"{old} has CRL {there.number}, newer than {ours.number}")


def _identity_of(path: Path) -> CrlIdentity | None:
    try:
        with (
            path.open("rb") as file,
            _der_file(file) as der,
            mmap(der.fileno(), 0, access=ACCESS_READ) as octets,
        ):
            return read_identity(octets)
    except (FileNotFoundError, ValueError, MalformedRequest):
        return None  # not there, empty, or no CRL


@contextmanager
def _der_file(file: BinaryIO) -> Iterator[BinaryIO]:
    """Give a file in DER; one in PEM is decoded to another one, not to memory."""
    begins = file.read(len(_PEM_BEGINS))
    file.seek(0)
    if begins != _PEM_BEGINS:
        yield file
        return
    with TemporaryFile() as decoded:
        decoded.writelines(der_pieces(file, CRL_LABEL))
        decoded.flush()
        yield decoded


_PEM_BEGINS = b"-----BEGIN"
