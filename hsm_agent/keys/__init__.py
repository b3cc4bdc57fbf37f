"""The keys of all stores under one name each, and how new ones come."""
