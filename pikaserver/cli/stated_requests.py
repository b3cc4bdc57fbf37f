"""Requests for keys that cannot sign, stated by the holder of a certificate (RFC 9883)."""

from pathlib import Path

import click
from cryptography import x509

from pikaserver.api.errors import RequestRejected
from pikaserver.asn1 import der
from pikaserver.asn1.algorithms import SIGNATURE_ALGORITHMS, default_algorithm, key_type
from pikaserver.asn1.certificate import public_key_of, read_certificate
from pikaserver.asn1.chains import read_certificates
from pikaserver.asn1.csr import read_csr, request_info
from pikaserver.asn1.identifiers import key_bits
from pikaserver.asn1.possession_statements import statement_attribute, verify_statement
from pikaserver.cli.cert.wished_names import WishedNames
from pikaserver.cli.files import read_file, write_secret
from pikaserver.cli.key_files import read_key_file
from pikaserver.cli.local_keys import LocalKey, load_local_key, wished
from pikaserver.cli.stated_options import StatedBy
from pikaserver.clock import system_entropy
from pikaserver.signing.ml_kem import ml_kem_public_key, new_ml_kem_key
from pikaserver.signing.private_keys import write_private_key


def stated_request(
    stated: StatedBy, names: WishedNames, kind: str, key_out: Path | None, passphrase: Path | None
) -> bytes:
    """Return a request (DER) for a new key, or for the public key in a file.

    Without names it is for the subject and the names of the certificate.

    Raises:
        RequestRejected: key and certificate do not belong together.
    """
    if stated.stated_by is None or stated.stated_by_key is None:
        raise click.UsageError("--stated-by and --stated-by-key go together")
    certificate = read_certificates(read_file(stated.stated_by))[0]
    signer = load_local_key(read_key_file(stated.stated_by_key, passphrase).pkcs8)
    if signer.public_key != public_key_of(read_certificate(certificate)):
        raise RequestRejected(f"{stated.stated_by_key} is not the key of {stated.stated_by}")
    spki, pkcs8 = _key(stated, kind)
    request = _signed(signer, _info(spki, certificate, names))
    if key_out is not None and pkcs8 is not None:
        write_secret(key_out, write_private_key(pkcs8, None, system_entropy))
    return request


def _key(stated: StatedBy, kind: str) -> tuple[bytes, bytes | None]:
    if stated.public_key is None:
        pkcs8 = new_ml_kem_key(kind)
        return ml_kem_public_key(pkcs8), pkcs8
    octets = read_file(stated.public_key)
    spki = der.read_pem(octets, "PUBLIC KEY")[0] if der.is_pem(octets) else octets
    key_bits(spki)
    return spki, None


def _info(spki: bytes, certificate: bytes, names: WishedNames) -> bytes:
    statement = statement_attribute(certificate)
    if not names.is_empty:
        subject, extensions = wished(names)
        return request_info(subject, spki, extensions, statement)
    holder = read_certificate(certificate)
    alternative = [
        one for one in holder.extensions if isinstance(one.value, x509.SubjectAlternativeName)
    ]
    return request_info(holder.subject, spki, alternative, statement)


def _signed(signer: LocalKey, info: bytes) -> bytes:
    algorithm = default_algorithm(key_type(signer.public_key))
    signature = signer.sign(algorithm, info)
    octets = der.signed(info, SIGNATURE_ALGORITHMS[algorithm].identifier, signature)
    verify_statement(read_csr(octets), signer.public_key)
    return octets
