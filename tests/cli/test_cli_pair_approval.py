"""Pairs of the command line that would wait for a person: no key of theirs is lost."""


def test_a_key_that_nobody_keeps_waits_for_no_second(shell):
    """A PKCS#12 is written with the certificate only; the second template alone wants a yes."""
    shell("template", "set", "device", 'related.mode="allowed"', "approval=true")
    folder, secret = shell.folder, shell.folder / "passphrase"
    secret.write_text("correct horse\n")
    words = ("cert", "issue", "--template", "web", "--dns", "slow.example.test", "--pair", "device")
    kept = folder / "slow.p12", folder / "slow-pq.key"

    lost = shell.try_(
        *words, "--p12-out", kept[0], "--passphrase-file", secret, "--pair-key-out", kept[1]
    )
    waits = shell.try_(*words, "--key-out", folder / "slow.key", "--pair-key-out", kept[1])

    assert 1 == lost.code
    assert "--key-out" in lost.errors
    assert 8 == waits.code
    assert 1 == len(shell.json("request", "list"))
    assert (folder / "slow.key").exists()
    assert kept[1].exists()
    assert not kept[0].exists()
