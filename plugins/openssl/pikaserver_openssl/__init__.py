"""Signer plugin ``openssl:``: keys that an OpenSSL of the host signs with."""
