"""Targets that cannot work stop the start, with a sentence that says why."""

from dataclasses import replace

import pytest

from pikaserver.api.errors import ConfigurationError

FILE = 'kind="file"\n'
S3 = 'kind="s3"\nendpoint="https://s3.example"\nbucket="pki"\naccess-key="me"\n'
LDAP = 'kind="ldap"\nurl="ldap://ldap.example"\ncrl="cn={authority},o=x"\n'
MQTT = 'kind="mqtt"\nhost="broker.example"\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ('crl="/x"', "targets.web.kind is missing"),
        ('kind="files"', "targets.web.kind should be one of 'file', 'http', 's3'"),
        (FILE, "targets.web should name a crl or a certificate"),
        (FILE + 'crl="x"', "should name files by absolute paths, not 'x'"),
        (FILE + 'crl="/x"\nmod="0644"', "web.mod is not a setting; did you mean 'mode'?"),
        (FILE + 'crl="/x"\nmode="rw"', "should be permissions like '0644', not 'rw'"),
        (FILE + 'crl="/x"\nsignal="HUP"', "should have both of signal and pid-file"),
        (FILE + 'crl="/x"\nsignal="HOP"\npid-file="/y"', "a name like 'HUP', not 'HOP'"),
        (FILE + 'crl="/x"', "'/x' has no {authority}, so authorities should name one"),
        (FILE + 'crl="/{nothing}"', "may have the placeholders {authority}"),
        (FILE + 'crl="/{authority!r}"', "may have the placeholders"),
        (FILE + 'crl="/{authority:9}"', "may have the placeholders"),
        (FILE + 'crl="/{authority"', "is no name"),
        (FILE + 'certificate="/{number}"', "may have the placeholders {authority}, {generation}"),
        (FILE + 'crl="/{authority}"\nscopes=["full","delta"]', "CRLs would overwrite each other"),
        (FILE + 'crl="/{authority}"\nscopes=["shards"]', "CRLs would overwrite each other"),
        ('kind="http"\ncrl="ftp://x/{authority}"', "should name URLs with https://"),
        ('kind="http"\ncrl="http://x/{authority}"\nuser="me"', "both of user and password-file"),
        (S3 + 'crl="x"', "targets.web.secret-key-file is missing"),
        (S3 + 'crl="x"\nsecret-key-file="x"', "should be an absolute path, not 'x'"),
        (LDAP, "should have a bind-dn, or external = true"),
        (LDAP + 'bind-dn="cn=x"\npassword-file="/x"', "would send the password in clear"),
        (LDAP + "external=true", "needs a client-certificate, or ldapi://"),
        (LDAP.replace("ldap:", "ldapi:") + "start-tls=true\nexternal=true", "is for ldap:// only"),
        (MQTT + 'crl="pki/#"', "should name topics without wildcards"),
        (MQTT + 'crl="x"\ntls=false\nuser="a"\npassword-file="/x"', "in clear: tls = true"),
        (MQTT + 'crl="pki/{authority}"\nstatus="pki/{serial}"', "the placeholders {authority} and"),
    ],
)
def test_a_mistake_is_told_in_the_operator_s_words(house, text, complaint):
    """Where it stands, what was expected, and what was found."""
    with pytest.raises(ConfigurationError) as refused:
        house.publisher(text)

    problems = getattr(refused.value, "problems", (str(refused.value),))
    assert any(complaint in problem for problem in problems), problems
    assert all("plugins.publish" in problem for problem in problems)


def test_a_name_must_be_plain(house):
    """What would leave the folder is refused even if an authority could be called so."""
    publisher = house.publisher(FILE + 'crl="/nowhere/{authority}"')
    crl = house.issue()
    for name in ("..", "../x", "a/b", "", ".x"):
        bad = replace(crl, summary=replace(crl.summary, authority=name))
        with pytest.raises(ConfigurationError, match="cannot be part of a name"):
            publisher.publish(bad)


def summary(house, authority="issuing", scope="full", generation=1):
    return replace(house.issue().summary, authority=authority, scope=scope, generation=generation)


def test_a_name_without_a_generation_is_that_of_the_current_key(house):
    """Else the CRL of the old key would take the new one's place."""
    publisher = house.publisher(FILE + 'crl="/x/{authority}{part}"\ncertificate="/x/{authority}"')
    house.server.authorities.add("issuing", "root")
    wants, record = publisher.target.wants, house.server.authorities.get("issuing")

    assert [False, True] == [wants(summary(house, generation=n)) for n in (1, 2)]
    new, old = record.generations
    assert publisher.target.wants_certificate(record, new)
    assert not publisher.target.wants_certificate(record, old)


def test_a_name_with_a_generation_is_for_all_keys(house):
    """Certificates of the old key still point there."""
    publisher = house.publisher(FILE + 'crl="/x/{authority}.g{generation}{part}"')
    house.server.authorities.add("issuing", "root")

    assert all(publisher.target.wants(summary(house, generation=n)) for n in (1, 2))


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        (FILE + 'crl="/x/{authority}"', {"full"}),
        (FILE + 'crl="/x/{authority}{part}"', {"full", "delta", "shard-1"}),
        (FILE + 'crl="/x/{authority}{part}"\nscopes=["delta", "shards"]', {"delta", "shard-1"}),
        (FILE + 'crl="/x/{authority}"\nscopes=["delta"]', {"delta"}),
        (FILE + 'crl="/x/{authority}"\nauthorities=["root"]', set()),
        (LDAP + "external=true\nclient-certificate='/x'", {"full", "delta"}),
    ],
)
def test_scopes_go_where_their_names_are_apart(house, text, wanted):
    """What has no name of its own would overwrite the full CRL."""
    wants = house.publisher(text).target.wants
    scopes = ("full", "delta", "shard-1")

    assert wanted == {scope for scope in scopes if wants(summary(house, scope=scope))}
