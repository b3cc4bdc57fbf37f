"""OCSP (RFC 6960)."""
