"""How renewal information names a certificate (RFC 9773 section 4.1)."""

from cryptography import x509

from tests.acme.desk import b64


def certificate_id(pem):
    """Return the key identifier's part, the serial's octets and the certificate."""
    certificate = x509.load_pem_x509_certificates(pem.encode())[0]
    extension = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
    serial = certificate.serial_number
    octets = serial.to_bytes(serial.bit_length() // 8 + 1, "big")
    return b64(extension.value.key_identifier), octets, certificate
