"""ACME over HTTP: one module per kind of object."""
