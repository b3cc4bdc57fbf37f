"""The plugin's tables: each module knows the columns of its own ones."""
