"""Counts who came by."""
