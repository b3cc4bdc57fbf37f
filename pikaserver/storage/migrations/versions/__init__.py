"""The host's revisions."""
