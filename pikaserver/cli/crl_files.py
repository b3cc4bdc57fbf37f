"""CRLs in files: PEM or DER."""

from pathlib import Path

from pikaserver.asn1.crl_reading import LARGEST_CRL
from pikaserver.asn1.pem import is_pem, read_pem
from pikaserver.cli.files import read_file


def crls_in(file: Path) -> list[bytes]:
    """Return the CRLs of a file in DER.

    Raises:
        MalformedRequest: a PEM file without a CRL.
    """
    # Base64 makes four octets of three, and adds line ends.
    octets = read_file(file, 2 * LARGEST_CRL)
    return read_pem(octets, "X509 CRL") if is_pem(octets) else [octets]
