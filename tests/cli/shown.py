"""What commands show of authorities."""

from cryptography import x509


def certificate_of(shell, name):
    return x509.load_pem_x509_certificate(shell("ca", "show", name, "-o", "pem").octets)
