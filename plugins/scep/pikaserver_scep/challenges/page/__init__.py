"""The page on which people make one-time challenges."""
