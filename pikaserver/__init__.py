"""The PKI server: a small host, its one road to a signature, and what plugins may see of it."""
