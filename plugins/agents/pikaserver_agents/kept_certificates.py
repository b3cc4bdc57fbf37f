"""Hands the certificates of authorities and services to the agents that keep their keys."""

import logging
from collections.abc import Callable, Sequence
from time import monotonic

from hsm_agent.wire.messages import Done, Key, PutCertificate, Refused
from pikaserver.api.errors import KeyUnavailable
from pikaserver_agents.authority_uses import AuthorityUses
from pikaserver_agents.chains import verifiable
from pikaserver_agents.journals import Ask
from pikaserver_agents.line import Line
from pikaserver_agents.moments import NowMs
from pikaserver_agents.printing import printable
from pikaserver_agents.references import SCHEME
from pikaserver_agents.structures import sha256

PUT_SECONDS = 20
LOOK_SECONDS = 60
"""How often services are looked at; an agent that was there got their certificates at once."""

ServiceCertificates = Callable[[bytes], Sequence[bytes]]
"""Takes the hash of a key; returns its newest certificate as a service and those above, if any."""

_log = logging.getLogger(__name__)


class KeptCertificates:
    """Finds what an agent lacks, and puts it there; what it refused is not put again."""

    def __init__(
        self,
        uses: AuthorityUses,
        services: ServiceCertificates,
        now: NowMs,
        request_id: Callable[[], bytes],
        agent: str,
    ) -> None:
        self._uses = uses
        self._services = services
        self._now = now
        self._request_id = request_id
        self._agent = agent
        self._put: set[tuple[bytes, bytes]] = set()
        self._next_look: dict[bytes, float] = {}

    def tend(self, line: Line, ask: Ask) -> None:
        """Put every certificate that the agent should have and does not.

        Raises:
            KeyUnavailable: the agent does not answer.
        """
        for spki_hash, key in line.keys.items():
            expected = self._expected(spki_hash)
            if not expected or not self._is_missing(spki_hash, key, expected[0]):
                continue
            self._put.add((spki_hash, sha256(expected[0])))
            answer = ask(put_request(self._request_id(), spki_hash, expected, self._now()))
            fields = {"agent": self._agent, "of": key.name}
            if isinstance(answer, Refused):
                why = printable(answer.why)
                _log.warning(
                    "certificate not taken",
                    extra={"event": "agents.certificate", "why": why, **fields},
                )
            elif isinstance(answer, Done):
                _log.info("certificate put", extra={"event": "agents.certificate", **fields})
            else:
                raise KeyUnavailable(f"agent {self._agent} answered something else")

    def _expected(self, spki_hash: bytes) -> Sequence[bytes]:
        """Return the certificate of the authority that says an agent keeps it, or of a service."""
        uses = self._uses.present().of(spki_hash)
        for use in uses:
            if use.reference.startswith(f"{SCHEME}:"):
                return use.certificates
        if uses or monotonic() < self._next_look.get(spki_hash, 0):
            return ()
        self._next_look[spki_hash] = monotonic() + LOOK_SECONDS
        return self._services(spki_hash)

    def _is_missing(self, spki_hash: bytes, key: Key, certificate: bytes) -> bool:
        digest = sha256(certificate)
        return key.certificate != digest and (spki_hash, digest) not in self._put


def put_request(
    request_id: bytes, spki_hash: bytes, certificates: Sequence[bytes], now: int
) -> PutCertificate:
    """Return the request to keep these certificates beside a key."""
    expires = now + PUT_SECONDS * 1000
    return PutCertificate(request_id, spki_hash, verifiable(certificates), expires)
