"""device-attest-01: what hardware says of the keys that it made."""
