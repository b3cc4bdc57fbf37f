"""The agents that sign for this server: their line, their keys, their journals."""
