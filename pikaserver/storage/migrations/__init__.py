"""The database's schema, revision by revision; each plugin has a branch of its own."""
