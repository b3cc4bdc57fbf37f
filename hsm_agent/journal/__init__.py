"""The agent's own history: hash-chained lines on its disk, and what it remembers of them."""
