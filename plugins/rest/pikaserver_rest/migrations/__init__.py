"""The plugin's own revisions."""
