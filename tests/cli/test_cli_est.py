"""Keys to which EST encrypts the keys that it makes."""


def test_a_symmetric_key_is_shown_once(shell):
    """In hex for openssl; listed without it, sealed in the database."""
    made = shell.json("est", "key", "create", "--name", "C0FFEE", "--kind", "aes-128")

    assert ("c0ffee", 32) == (made["name"], len(made["key"]))
    listed = shell("est", "key", "list").text
    assert "c0ffee" in listed
    assert made["key"] not in listed
    assert bytes.fromhex(made["key"]) not in (shell.data / "pikaserver.db").read_bytes()
    assert made["key"] not in shell("audit", "export").text
    assert 7 == shell.try_("est", "key", "create", "--name", "c0ffee").code
    assert 1 == shell.try_("est", "key", "create", "--name", "xyz").code


def test_a_pair_is_known_by_its_certificate(shell):
    """Named by its key identifier unless told otherwise; and forgotten again."""
    key = shell.folder / "pair.key"
    words = ("--template", "device", "--subject", "CN=plc-1", "--key-out", key)
    certificate = shell.folder / "pair.pem"
    shell("cert", "issue", *words, "--out", certificate)
    (shell.folder / "leaf.pem").write_text(
        certificate.read_text().split("-----END")[0] + "-----END CERTIFICATE-----\n"
    )

    added = shell.json("est", "key", "add", shell.folder / "leaf.pem")
    (row,) = [one for one in shell.json("est", "key", "list") if one["name"] == added["name"]]
    removed = shell.json("est", "key", "remove", added["name"])

    assert 40 == len(added["name"])
    assert "certificate" == row["kind"]
    assert "removed" == removed["state"]
    assert 3 == shell.try_("est", "key", "remove", added["name"]).code
