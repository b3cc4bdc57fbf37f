"""``request approve --validity`` where the second template of a pair has none to choose."""


def test_a_validity_that_one_half_does_not_allow_is_refused_at_once(shell):
    """The sentence names the template; the same request is approved without it."""
    shell("template", "set", "device", 'related.mode="allowed"', "approval=true")
    period = "validity.period=30d", "validity.maximum=30d", "validity.overridable=false"
    shell("template", "set", "device", *period)
    folder = shell.folder
    words = ("cert", "issue", "--template", "web", "--dns", "both.example.test", "--pair", "device")
    keys = ("--key-out", folder / "both.key", "--pair-key-out", folder / "both-pq.key")
    number = shell.try_(*words, *keys, "-o", "json").json["request"]

    refused = shell.try_("request", "approve", number, "--validity", "3d")
    waits = shell.json("request", "show", number)
    rows = shell.json("request", "approve", number)

    assert 0 != refused.code
    assert "template 'device' fixes the validity: 30d" in refused.errors
    assert "pending" == waits["state"]
    assert ["issued", "issued"] == [row["state"] for row in rows]
