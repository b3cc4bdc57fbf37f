"""The protocol between server and agent: frames, messages, sessions; both sides import it."""
