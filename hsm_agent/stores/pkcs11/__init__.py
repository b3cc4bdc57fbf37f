"""Keys of a PKCS#11 token, used by a process of its own that holds the module."""
