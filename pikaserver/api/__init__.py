"""All that a plugin imports: types, errors and hook markers; behaviour only in ``files``."""

VERSION = (0, 1)
"""Number of the plugin API: the first part changes when a plugin must change with it."""
