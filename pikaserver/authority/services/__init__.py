"""Keys and certificates of the server's own services."""
