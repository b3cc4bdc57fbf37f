"""HTTP in, HTTP out."""

import falcon

from pikaserver.api.storage import Database
from pikaserver_visits import storage


class Visits:
    """``POST /visits/{name}``."""

    def __init__(self, database: Database, greeting: str, most: int) -> None:
        self._database = database
        self._greeting = greeting
        self._most = most

    def on_post(self, request: falcon.Request, response: falcon.Response, name: str) -> None:
        """Count a visit and greet."""
        with self._database.transaction() as connection:
            visits = storage.count(connection, name, self._most)
        response.media = {"text": f"{self._greeting} {name}", "visits": visits}
