"""The plugin's own branch of revisions."""
