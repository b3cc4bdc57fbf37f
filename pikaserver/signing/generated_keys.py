"""Makes keys for others, with requests signed by them; nothing of them is kept."""

from dataclasses import dataclass

from pikaserver.api.generated_keys import GeneratedKey
from pikaserver.api.issuance import CertificationRequest
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS, default_algorithm
from pikaserver.asn1.csr import assemble_csr, read_csr, request_info
from pikaserver.signing import private_keys
from pikaserver.signing.sign import sign_tbs
from pikaserver.signing.software import new_private_key
from pikaserver.signing.software_signers import make_signer


@dataclass(frozen=True, slots=True)
class SoftwareKeyGenerator:
    """Implements ``pikaserver.api.generated_keys.KeyGenerator``."""

    def generate(self, key_type: str, wish: CertificationRequest) -> GeneratedKey:
        """See the protocol."""
        pkcs8 = new_private_key(key_type)
        public_key = private_keys.public_key(pkcs8)
        algorithm = default_algorithm(key_type)
        entry = SIGNATURE_ALGORITHMS[algorithm]
        signer = make_signer(private_keys.load(pkcs8), entry, public_key)
        info = request_info(wish.subject, public_key, wish.extensions)
        signature = sign_tbs(signer, info, public_key)
        return GeneratedKey(pkcs8, read_csr(assemble_csr(info, algorithm, signature)))
