"""A process that writes until it is killed; each line it prints was acknowledged before."""

import os
import sys
import threading
from datetime import UTC, datetime

from sqlalchemy import insert

from pikaserver.storage import audit
from pikaserver.storage.database import open_database
from pikaserver.storage.tables import job_lease

MOMENT = datetime(2026, 5, 1, tzinfo=UTC)


def write(database, thread):
    """Write rows, each with its audit record, and print what is durable."""
    number = 0
    while True:
        name = f"{os.getpid()}-{thread}-{number}"
        with database.transaction() as connection:
            connection.execute(insert(job_lease).values(name=name, holder="h", until=MOMENT))
            audit.record(connection, node=1, at=MOMENT, event="e", actor=name, fields={})
        # One system call per line: a kill never leaves half of one.
        os.write(sys.stdout.fileno(), f"{name}\n".encode())
        number += 1


def main(url, threads):
    """Write from so many threads."""
    database = open_database(url)
    for thread in range(int(threads)):
        threading.Thread(target=write, args=(database, thread)).start()


if __name__ == "__main__":
    main(*sys.argv[1:])
