"""EST (RFC 7030 and RFC 8951): devices enrol over HTTPS."""
