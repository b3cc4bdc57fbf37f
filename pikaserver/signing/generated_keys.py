"""Makes keys for others, with requests signed by them; nothing of them is kept."""

from dataclasses import dataclass

from pikaserver.api.generated_keys import GeneratedKey
from pikaserver.api.issuance import CertificationRequest
from pikaserver.api.key_challenges import KeyChallenges
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS, default_algorithm
from pikaserver.asn1.csr import assemble_csr, read_csr, request_info
from pikaserver.asn1.kem_keys import KEM_KEY_TYPES
from pikaserver.asn1.possession_statements import unsigned_request
from pikaserver.asn1.related_certificates import copied_attribute
from pikaserver.signing import private_keys
from pikaserver.signing.ml_kem import answer_here, ml_kem_public_key, new_ml_kem_key
from pikaserver.signing.sign import sign_tbs
from pikaserver.signing.software import new_private_key
from pikaserver.signing.software_signers import make_signer


@dataclass(frozen=True, slots=True)
class SoftwareKeyGenerator:
    """Implements ``pikaserver.api.generated_keys.KeyGenerator``."""

    challenges: KeyChallenges

    def generate(self, key_type: str, wish: CertificationRequest) -> GeneratedKey:
        """See the protocol."""
        if key_type in KEM_KEY_TYPES:
            return self._generate_kem(key_type, wish)
        pkcs8 = new_private_key(key_type)
        public_key = private_keys.public_key(pkcs8)
        algorithm = default_algorithm(key_type)
        entry = SIGNATURE_ALGORITHMS[algorithm]
        signer = make_signer(private_keys.load(pkcs8), entry, public_key)
        info = request_info(wish.subject, public_key, wish.extensions, *_others(wish))
        signature = sign_tbs(signer, info, public_key)
        return GeneratedKey(pkcs8, read_csr(assemble_csr(info, algorithm, signature)))

    def _generate_kem(self, key_type: str, wish: CertificationRequest) -> GeneratedKey:
        pkcs8 = new_ml_kem_key(key_type)
        info = request_info(wish.subject, ml_kem_public_key(pkcs8), wish.extensions, *_others(wish))
        csr = unsigned_request(info)
        return GeneratedKey(pkcs8, csr, answer_here(self.challenges, csr, pkcs8))


def _others(wish: CertificationRequest) -> list[bytes]:
    """Return what binds to another certificate: its signature says nothing of the new key."""
    related = copied_attribute(wish)
    return [related] if related else []
