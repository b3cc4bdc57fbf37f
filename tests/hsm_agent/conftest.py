"""What the tests of the agent's stores need to be collected at all."""

import importlib.util

HERE = importlib.util.find_spec("yubikit") and importlib.util.find_spec("smartcard")
# ``tests/piv_card/test_packages_of_the_card.py`` says, once, what is missing.
collect_ignore_glob = [] if HERE else ["test_piv_*.py"]
