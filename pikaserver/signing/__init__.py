"""Keys and the one place that asks them to sign."""
