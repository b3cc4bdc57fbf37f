"""Queries over authorities, their generations (one per key) and the certificates over these."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, func, insert, select, update

from pikaserver.api.certificates import AuthorityRecord, Generation
from pikaserver.api.errors import Conflict, NotFound
from pikaserver.asn1.elements import read_element
from pikaserver.storage.tables import authority, authority_certificate, authority_generation

WAITING, ACTIVE, RETIRED = "waiting", "active", "retired"
COMING, PREPARED = "coming", "prepared"
"""What shall be prepared waits for its certificate as ``coming``."""


@dataclass(frozen=True, slots=True)
class NewGeneration:
    """A key for an authority, with the certificate over it or the CSR that asks for one."""

    key: str | None
    algorithm: str
    public_key: bytes
    csr: bytes | None = None
    certificate: bytes | None = None
    chain: tuple[bytes, ...] = ()
    prepare: bool = False


def insert_authority(connection: Connection, name: str, settings: str, at: datetime) -> int:
    """Store a new authority and return its id.

    Raises:
        Conflict: the name is taken.
    """
    if connection.scalar(select(authority.c.id).where(authority.c.name == name)) is not None:
        raise Conflict(f"there is an authority {name!r} already")
    values = {"name": name, "enabled": True, "settings": settings, "created_at": at}
    statement = insert(authority).values(values).returning(authority.c.id)
    return int(connection.execute(statement).scalar_one())


def insert_generation(
    connection: Connection, authority_id: int, new: NewGeneration, at: datetime
) -> int:
    """Store a further key of an authority; it becomes the current one once it is activated."""
    newest = select(func.max(authority_generation.c.number)).where(
        authority_generation.c.authority_id == authority_id
    )
    values = {
        "authority_id": authority_id,
        "number": (connection.scalar(newest) or 0) + 1,
        "state": COMING if new.prepare else WAITING,
        "key": new.key,
        "algorithm": new.algorithm,
        "public_key": new.public_key,
        "csr": new.csr,
        "revocations": 0,
        "created_at": at,
    }
    statement = insert(authority_generation).values(values).returning(authority_generation.c.id)
    generation_id = int(connection.execute(statement).scalar_one())
    if new.certificate is not None:
        activate(connection, generation_id, new.certificate, new.chain, at)
    return generation_id


def activate(
    connection: Connection,
    generation_id: int,
    certificate: bytes,
    chain: Sequence[bytes],
    at: datetime,
) -> None:
    """Give a generation its certificate and make it the current one; older ones retire.

    One that shall be prepared only gets its certificate: `take_over` makes it the current one.
    A certificate that it had before stays among its ``others``: relying parties hold it.
    """
    table = authority_generation
    row = connection.execute(
        select(table.c.authority_id, table.c.state, table.c.certificate, table.c.chain).where(
            table.c.id == generation_id
        )
    ).one()
    if row.certificate is not None:
        add_certificate(connection, generation_id, "renewed", row.certificate, row.chain, at)
    state = PREPARED if row.state in (COMING, PREPARED) else ACTIVE
    if state == ACTIVE:
        _retire(connection, row.authority_id)
    connection.execute(
        update(table)
        .where(table.c.id == generation_id)
        .values(state=state, certificate=certificate, chain=b"".join(chain))
    )


def intend(connection: Connection, generation_id: int, *, prepare: bool) -> None:
    """Say of a generation without a certificate whether that only prepares it."""
    table = authority_generation
    statement = update(table).where(table.c.id == generation_id, table.c.certificate.is_(None))
    connection.execute(statement.values(state=COMING if prepare else WAITING))


def take_over(connection: Connection, generation_id: int) -> None:
    """Make a prepared generation the current one; the one before retires.

    Raises:
        Conflict: it is not prepared, or not any more.
    """
    table = authority_generation
    statement = update(table).where(table.c.id == generation_id, table.c.state == PREPARED)
    # The row is taken before the one before it retires: of two who do this, one finds nothing.
    taken = statement.values(state=COMING).returning(table.c.authority_id)
    authority_id = connection.execute(taken).scalar_one_or_none()
    if authority_id is None:
        raise Conflict("this key is not prepared, or has taken over already")
    _retire(connection, authority_id)
    connection.execute(update(table).where(table.c.id == generation_id).values(state=ACTIVE))


def _retire(connection: Connection, authority_id: int) -> None:
    table = authority_generation
    connection.execute(
        update(table)
        .where(table.c.authority_id == authority_id, table.c.state == ACTIVE)
        .values(state=RETIRED)
    )


def add_certificate(
    connection: Connection,
    generation_id: int,
    kind: str,
    certificate: bytes,
    chain: bytes,
    at: datetime,
) -> None:
    """Keep one more certificate over a generation's key: an earlier one or a cross-certificate."""
    connection.execute(
        insert(authority_certificate).values(
            generation_id=generation_id,
            kind=kind,
            certificate=certificate,
            chain=chain,
            created_at=at,
        )
    )


def set_enabled(connection: Connection, name: str, *, enabled: bool) -> None:
    """Enable or disable an authority.

    Raises:
        NotFound: no such authority.
    """
    statement = update(authority).where(authority.c.name == name).values(enabled=enabled)
    _must_hit(connection.execute(statement).rowcount, name)


def save_settings(connection: Connection, name: str, settings: str) -> None:
    """Replace an authority's settings (JSON).

    Raises:
        NotFound: no such authority.
    """
    statement = update(authority).where(authority.c.name == name).values(settings=settings)
    _must_hit(connection.execute(statement).rowcount, name)


def count_revocation(connection: Connection, generation_id: int) -> int:
    """Count one more revocation or release of this generation: its CRL is due."""
    table = authority_generation
    statement = (
        update(table)
        .where(table.c.id == generation_id)
        .values(revocations=table.c.revocations + 1)
        .returning(table.c.revocations)
    )
    return int(connection.execute(statement).scalar_one())


def revocations(connection: Connection, generation_id: int) -> int:
    """Return how many revocations and releases this generation has seen."""
    table = authority_generation
    count = connection.scalar(select(table.c.revocations).where(table.c.id == generation_id))
    return int(count or 0)


def load_all(connection: Connection) -> list[tuple[AuthorityRecord, str]]:
    """Return every authority with its settings (JSON), in the order in which they were made."""
    others: dict[int, list[bytes]] = defaultdict(list)
    for row in connection.execute(
        select(authority_certificate).order_by(authority_certificate.c.id.desc())
    ):
        others[row.generation_id].append(row.certificate)
    generations: dict[int, list[Generation]] = defaultdict(list)
    waiting: dict[int, bytes] = {}
    for row in connection.execute(
        select(authority_generation).order_by(authority_generation.c.number.desc())
    ):
        if row.certificate is None:
            waiting.setdefault(row.authority_id, row.csr)
            continue
        generations[row.authority_id].append(
            Generation(
                id=row.id,
                number=row.number,
                certificate=row.certificate,
                chain=_split(row.chain or b""),
                others=tuple(others[row.id]),
                key=row.key,
                algorithm=row.algorithm,
                current=row.state == ACTIVE,
                prepared=row.state == PREPARED,
            )
        )
    return [
        (
            AuthorityRecord(
                row.id, row.name, row.enabled, tuple(generations[row.id]), waiting.get(row.id)
            ),
            row.settings,
        )
        for row in connection.execute(select(authority).order_by(authority.c.id))
    ]


def public_keys(connection: Connection, authority_id: int) -> dict[bytes, int]:
    """Return the public keys (SPKI) of an authority's generations with their ids."""
    table = authority_generation
    statement = select(table.c.public_key, table.c.id).where(table.c.authority_id == authority_id)
    return {bytes(row.public_key): int(row.id) for row in connection.execute(statement)}


def _split(octets: bytes) -> tuple[bytes, ...]:
    found: list[bytes] = []
    at = 0
    while at < len(octets):
        element = read_element(octets, at)
        found.append(octets[at : element.end])
        at = element.end
    return tuple(found)


def _must_hit(rows: int, name: str) -> None:
    if rows == 0:
        raise NotFound(f"there is no authority {name!r}")
