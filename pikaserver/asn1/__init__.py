"""DER in and out, pure: no clock, no database, no key."""
