"""``python -m pikaserver.cli``: the same as ``pikaserver``."""

from pikaserver.cli.main import main

main()
