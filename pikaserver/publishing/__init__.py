"""Pushes to the outside after the deed: CRLs and certificates to publishers, the trail to sinks."""
