"""Challenges for keys that cannot sign, over two rounds of CMC (RFC 5272 section 6.7)."""

import hashlib

from pikaserver.api.errors import MalformedRequest
from pikaserver.api.issuance import CertificationRequest, Requester
from pikaserver.api.key_challenges import ChallengeAnswer
from pikaserver.api.server import Server
from pikaserver.asn1.algorithms import key_type
from pikaserver.asn1.cmc_possession import DecryptedPop, write_encrypted_pop
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver.asn1.possession_statements import read_statement
from pikaserver_est import storage


class PossessionRequired(MalformedRequest):
    """The key is challenged first; ``control`` is the EncryptedPOP for the client."""

    def __init__(self, control: bytes) -> None:
        super().__init__("prove possession of the key: answer the challenge")
        self.control = control


def is_to_be_challenged(csr: CertificationRequest) -> bool:
    """Tell whether a request cannot prove possession by itself."""
    return key_type(csr.public_key) in KEM_KEY_TYPES and read_statement(csr) is None


class Challenger:
    """Challenges keys for one requester; the ticket waits here for the second round."""

    def __init__(self, server: Server, requester: Requester) -> None:
        self._server = server
        self._requester = requester

    def challenge(self, csr: CertificationRequest, tagged: bytes) -> PossessionRequired:
        """Return what the client is told."""
        made = self._server.key_challenges.make(csr.tbs, csr.public_key)
        name = self._name(csr)
        with self._server.database.transaction() as connection:
            storage.forget_waiting(connection, name)
            waiting = storage.WaitingKey(made.ticket, csr.der)
            storage.keep_waiting(connection, name, waiting, self._server.clock())
        return PossessionRequired(write_encrypted_pop(tagged, made.envelope, made.witness))

    def answer(
        self, csr: CertificationRequest, tagged: bytes, told: DecryptedPop
    ) -> ChallengeAnswer:
        """Return the client's answer with the ticket that it belongs to.

        Raises:
            MalformedRequest: this requester was not challenged for this request.
        """
        with self._server.database.reading() as connection:
            waiting = storage.waiting_key(connection, self._name(csr))
        if waiting is None:
            raise MalformedRequest("no challenge was given for this request")
        return ChallengeAnswer(waiting.sealed, tagged, told.proof)

    def forget(self, csr: CertificationRequest) -> None:
        """Forget a challenge that was answered."""
        with self._server.database.transaction() as connection:
            storage.forget_waiting(connection, self._name(csr))

    def _name(self, csr: CertificationRequest) -> str:
        digest = hashlib.sha256(b"challenge")
        for part in (self._requester.name.encode(), csr.tbs):
            digest.update(len(part).to_bytes(4, "big") + part)
        return digest.hexdigest()
