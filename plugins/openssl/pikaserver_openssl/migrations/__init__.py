"""The revisions of the plugin's table."""
