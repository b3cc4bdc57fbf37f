"""What is remembered of maps that were written stays small."""

from hsm_agent.wire import encoding


def test_the_order_of_large_maps_is_not_remembered(monkeypatch):
    """Their keys may be a stranger's, and many; they are written in order all the same."""
    remembered = []
    monkeypatch.setattr(encoding, "_known_order", remembered.append)
    large = {f"key-{number:03}": number for number in reversed(range(40))}

    assert large == encoding.decode(encoding.encode(large))

    assert not remembered
