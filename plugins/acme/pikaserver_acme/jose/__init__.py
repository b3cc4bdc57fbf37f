"""Signed JSON (RFC 7515, RFC 7517) as ACME uses it, read without mercy."""
