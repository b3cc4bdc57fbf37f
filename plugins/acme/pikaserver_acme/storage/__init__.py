"""What ACME keeps in the database."""
