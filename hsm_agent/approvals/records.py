"""Octets that wait, one file each; only the agent's user may read them."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from hsm_agent.private_files import make_private_folder, sync_folder, write_private
from hsm_agent.wire.encoding import decode, encode
from hsm_agent.wire.errors import WireError

_SUFFIX = ".waiting"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Proof:
    """One approver's proof, as it came; ``at`` is milliseconds since 1970."""

    by: str
    kind: str
    octets: bytes
    at: int


@dataclass(frozen=True, slots=True)
class Record:
    """Octets that wait, ``approval`` their SHA-256; times are milliseconds since 1970.

    ``statement`` is what approvers sign, ``text`` what the octets say, for a person.  Octets
    that were declined are kept until ``expires`` by their hash alone.
    """

    approval: bytes
    key: bytes
    key_name: str
    kind: str
    octets: int
    statement: bytes
    text: str
    since: int
    expires: int
    need: int
    of: tuple[str, ...]
    proofs: tuple[Proof, ...] = ()
    declined: bool = False


class Records:
    """The folder; not for use by several threads at once.  Any write may raise `OSError`."""

    def __init__(self, folder: Path) -> None:
        """Read what waits; files that cannot be read are told of and left alone."""
        self._folder = make_private_folder(folder)
        self._records: dict[bytes, Record] = {}
        for path in sorted(folder.glob(f"*{_SUFFIX}")):
            try:
                record, _ = _read(path.read_bytes())
            except (OSError, WireError) as error:
                _log.error("%s cannot be read: %s", path, error)
            else:
                self._records[record.approval] = record

    def all(self) -> Mapping[bytes, Record]:
        """Return the records by their hash."""
        return self._records

    def octets(self, approval: bytes) -> bytes:
        """Return the octets that wait; none of those that were declined.

        Raises:
            OSError: the file is not there.
            WireError: it was damaged.
        """
        return _read(self._path(approval).read_bytes())[1]

    def write(self, record: Record, octets: bytes) -> None:
        """Keep a record, in the place of the one of that hash."""
        write_private(self._path(record.approval), _write(record, octets))
        self._records[record.approval] = record

    def remove(self, approval: bytes) -> None:
        """Forget a record."""
        self._path(approval).unlink(missing_ok=True)
        sync_folder(self._folder)
        self._records.pop(approval, None)

    def _path(self, approval: bytes) -> Path:
        return self._folder / f"{approval.hex()}{_SUFFIX}"


def with_proof(record: Record, proof: Proof) -> Record:
    """Return the record with one more proof, in the place of an older one of that approver."""
    others = tuple(one for one in record.proofs if one.by != proof.by)
    return replace(record, proofs=(*others, proof))


def _write(record: Record, octets: bytes) -> bytes:
    return encode(
        {
            "approval": record.approval,
            "key": record.key,
            "name": record.key_name.encode(),
            "kind": record.kind,
            "statement": record.statement,
            "text": record.text.encode(),
            "times": [record.since, record.expires],
            "need": record.need,
            "of": [one.encode() for one in record.of],
            "proofs": [[one.by.encode(), one.kind, one.octets, one.at] for one in record.proofs],
            "declined": record.declined,
            "octets": octets,
        }
    )


def _read(file: bytes) -> tuple[Record, bytes]:
    match decode(file):
        case {
            "approval": bytes() as approval,
            "key": bytes() as key,
            "name": bytes() as name,
            "kind": str() as kind,
            "statement": bytes() as statement,
            "text": bytes() as text,
            "times": [int() as since, int() as expires],
            "need": int() as need,
            "of": [*of],
            "proofs": [*proofs],
            "declined": bool() as declined,
            "octets": bytes() as octets,
            **others,
        } if not others:
            pass
        case _:
            raise WireError("a record with missing or unknown fields")
    record = Record(
        approval,
        key,
        _text(name),
        kind,
        len(octets),
        statement,
        _text(text),
        since,
        expires,
        need,
        tuple(map(_text, of)),
        tuple(map(_proof, proofs)),
        declined,
    )
    return record, octets


def _proof(value: object) -> Proof:
    match value:
        case [bytes() as by, str() as kind, bytes() as octets, int() as at]:
            return Proof(_text(by), kind, octets, at)
        case _:
            raise WireError("a record with a broken proof")


def _text(value: object) -> str:
    if not isinstance(value, bytes):
        raise WireError("a record without a text where one belongs")
    return value.decode(errors="replace")
