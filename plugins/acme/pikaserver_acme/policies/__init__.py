"""Policies: what one directory allows, and to whom."""
