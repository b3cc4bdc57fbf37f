"""The command line of the agent; heavy modules are imported inside commands."""
