"""A place to look from: names are resolved once per attempt, and what was resolved is dialled."""

import ipaddress
import socket

from pikaserver_acme.validation.addresses import Address, AddressGuard
from pikaserver_acme.validation.attempt import Attempt, Failed
from pikaserver_acme.validation.resolver import Resolver


class Lookout:
    """One vantage point during one attempt.

    A name is asked for once; the addresses that came back stay pinned, so an answer that changes
    between check and use changes nothing.
    """

    def __init__(
        self, resolver: Resolver, guard: AddressGuard, attempt: Attempt, source: str | None = None
    ) -> None:
        self.resolver = resolver
        self.attempt = attempt
        self._guard = guard
        self._source = ipaddress.ip_address(source) if source else None
        self._pinned: dict[str, list[Address]] = {}

    def connect(self, host: str, port: int, *, redirected: bool = False) -> socket.socket:
        """Connect to a name, or to an address in its usual spelling, if that may be.

        Raises:
            Failed: it may not be reached, or nobody answers.
        """
        candidates = self._candidates(host, redirected=redirected)
        for address in candidates:
            self._guard.check_port(address, port)
        trouble = Failed("connection", f"{host} cannot be reached")
        for number, address in enumerate(candidates, start=1):
            # Whoever has two addresses gets half of the time for the first.
            seconds = self.attempt.remaining() / (len(candidates) - number + 1)
            try:
                return self._dial(address, port, seconds)
            except Failed as failure:
                trouble = failure
        raise trouble

    def _candidates(self, host: str, *, redirected: bool) -> list[Address]:
        """Return at most one address of each kind that may be reached.

        Raises:
            Failed: there is none.
        """
        if host not in self._pinned:
            self._pinned[host] = self._resolve(host)
        allowed: list[Address] = []
        refused = ""
        for address in self._pinned[host]:
            objection = self._guard.objection(address, redirected=redirected)
            if objection is not None:
                refused = f"{address} {objection}: refused"
                self.attempt.note(refused)
            elif address.version not in {one.version for one in allowed}:
                allowed.append(address)
        if not allowed:
            raise Failed("connection", f"{host} may not be reached: {refused}")
        return allowed

    def _resolve(self, host: str) -> list[Address]:
        try:
            return [ipaddress.ip_address(host)]
        except ValueError:
            return self.resolver.addresses(host, self.attempt)

    def _dial(self, address: Address, port: int, seconds: float) -> socket.socket:
        source = self._source
        own = (str(source), 0) if source and source.version == address.version else None
        try:
            line = socket.create_connection((str(address), port), seconds, own)
        except OSError as error:
            why = f"cannot connect to {address} port {port}: {error.strerror or error}"
            self.attempt.note(why)
            raise Failed("connection", why, again=True) from error
        self.attempt.note(f"connected to {address} port {port}")
        return line
