"""Certificates and CRLs in the forms in which people ask for them."""

from collections.abc import Sequence

from pikaserver.api.errors import RequestRejected
from pikaserver.api.issuance import Issued
from pikaserver.asn1.cms import certificates_only
from pikaserver.asn1.pem import write_pem
from pikaserver.cli.cert.found import whole_chain
from pikaserver.clock import system_entropy
from pikaserver.signing.key_bundles import write_pkcs12


def certificates_as(form: str, certificates: Sequence[bytes]) -> bytes:
    """Return certificates (DER) as ``pem``, ``der`` or ``p7b``.

    Raises:
        RequestRejected: DER shall hold more than one.
    """
    if form == "pem":
        return b"".join(write_pem("CERTIFICATE", one) for one in certificates)
    if form == "p7b":
        return certificates_only(certificates)
    if len(certificates) > 1:
        raise RequestRejected("DER holds one certificate; take pem or p7b for a chain")
    return certificates[0]


def pkcs12_of(issued: Issued, pkcs8: bytes, passphrase: bytes) -> bytes:
    """Return a PKCS#12 file with key, certificate and chain.

    Raises:
        RequestRejected: the key is not the certificate's.
    """
    certificates = whole_chain(issued)
    name = issued.record.subject or issued.record.names[0]
    return write_pkcs12(pkcs8, certificates, passphrase, name, system_entropy)
