"""The revisions of our tables."""
