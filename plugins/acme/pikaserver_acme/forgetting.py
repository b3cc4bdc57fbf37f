"""Orders and proofs are kept for some time after their end, and then forgotten.

Accounts, external accounts and policies stay, and so do certificates and the audit trail, which
are the host's.  An order is over when its newest certificate is: until then its account revokes
and replaces that certificate by it.
"""

import logging
from collections.abc import Callable
from datetime import timedelta

from sqlalchemy import Connection

from pikaserver.api.operations import Clock
from pikaserver.api.storage import Database
from pikaserver_acme.moments import stored
from pikaserver_acme.storage import forgetting as storage

AT_ONCE = 200
"""Rows of one transaction: others want to write, too."""
TURNS = 100
"""Transactions of one run; what is left is for the next one."""

logger = logging.getLogger(__name__)


class Forgetting:
    """Drops what was over for as long as it is ``kept``."""

    def __init__(self, database: Database, clock: Clock, kept: timedelta) -> None:
        self._database = database
        self._clock = clock
        self._kept = kept

    def run(self) -> None:
        """Forget orders first: what only they needed can go then."""
        orders = self._drop(storage.forget_orders)
        proofs = self._drop(storage.forget_authorizations)
        if orders or proofs:
            extra = {"event": "acme-forgotten", "orders": orders, "authorizations": proofs}
            logger.info("forgotten", extra=extra)

    def _drop(self, some: Callable[[Connection, int, int], int]) -> int:
        before, dropped = stored(self._clock() - self._kept), 0
        for _ in range(TURNS):
            with self._database.transaction() as connection:
                found = some(connection, before, AT_ONCE)
            dropped += found
            if found < AT_ONCE:
                break
        return dropped
