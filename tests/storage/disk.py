"""A process that meets a bad disk; it prints ``ok`` when the database behaved."""

import resource
import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import insert, select

from pikaserver.api.errors import StorageUnavailable
from pikaserver.storage.database import open_database
from pikaserver.storage.tables import job_lease

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)
KIB = 1024


def add(database, name):
    """Store one row of a few KiB."""
    row = {"name": name, "holder": "h", "until": MOMENT, "last_error": "x" * 4 * KIB}
    with database.transaction() as connection:
        connection.execute(insert(job_lease).values(row))


def names(database):
    """Return the names of all rows."""
    with database.reading() as connection:
        return set(connection.execute(select(job_lease.c.name)).scalars())


def refusal(deed):
    """Return the sentence of a StorageUnavailable, or nothing."""
    try:
        deed()
    except StorageUnavailable as error:
        return str(error)
    return ""


def fill(path, make_room):
    """Write until the disk refuses, make room, write on; what was acknowledged is there."""
    database = open_database(f"sqlite:///{path}")
    told, sentence = set(), ""
    for number in range(2000):
        sentence = refusal(lambda number=number: add(database, f"row-{number}"))
        if sentence:
            break
        told.add(f"row-{number}")
    assert told == names(database)  # status services go on
    assert sentence == database.last_fault()[1]
    make_room()
    add(database, "after")
    database.close()
    assert told | {"after"} == names(open_database(f"sqlite:///{path}"))
    return sentence


def full(template, folder):
    """Fill a small file system of our own."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", folder], check=True)
    ballast = Path(folder, "ballast")
    ballast.write_bytes(bytes(KIB * KIB))
    path = shutil.copy(template, folder)
    assert "the disk that holds the database is full" == fill(path, ballast.unlink)


def limited(template, folder):
    """Meet the largest file that the system allows."""
    path = shutil.copy(template, folder)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (KIB * KIB, hard))

    def lift():
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))

    assert "cannot be read or written" in fill(path, lift)


def read_only(template, folder):
    """Meet a file, then a folder, that refuses writing; reading goes on where it can."""
    path, url = Path(shutil.copy(template, folder)), f"sqlite:///{folder}/template.db"
    path.chmod(0o400)
    database = open_database(url)
    assert set() == names(database)
    assert "read-only" in refusal(lambda: add(database, "never"))
    database.close()
    for made in Path(folder).iterdir():  # SQLite gave -wal and -shm the mode of the file
        made.chmod(0o600)
    add(open_database(url), "first")

    lonely = Path(folder, "lonely")
    lonely.mkdir()
    shutil.copy(template, lonely)
    lonely.chmod(0o500)
    assert "read-only" in refusal(lambda: open_database(f"sqlite:///{lonely}/template.db"))
    assert "cannot be created" in refusal(lambda: open_database(f"sqlite:///{lonely}/new.db"))
    lonely.chmod(0o700)
    add(open_database(f"sqlite:///{lonely}/template.db"), "second")


if __name__ == "__main__":
    {"full": full, "limited": limited, "read_only": read_only}[sys.argv[1]](*sys.argv[2:])
    sys.stdout.write("ok\n")
