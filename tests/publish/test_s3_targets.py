"""Buckets of a server that checks signatures, and swaps only what is still the same."""

import pytest

from pikaserver.api.errors import Conflict, RequestRejected, Unavailable
from tests.publish.buckets import s3_server


@pytest.fixture(scope="module")
def s3(tmp_path_factory):
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def bucket(house, s3, secret, request):
    """Make publishers to the bucket; keys begin with the name of the test."""

    def make(*lines, secret_key=s3.secret_key, crl="{authority}{part}.crl"):
        path = secret(secret_key, f"secret-{len(secret_key)}")
        name = plain(request.node.name)
        return house.publisher(
            "\n".join(
                [
                    f'kind="s3"\nendpoint="{s3.endpoint}"\nbucket="pki"',
                    f'access-key="{s3.access_key}"\nsecret-key-file="{path}"',
                    f'crl="{name}/{crl}"\ncertificate="{name}/{{authority}}.cer"',
                    *lines,
                ]
            )
        )

    return make


@pytest.fixture
def get(s3, request):
    return lambda key: s3.get(f"{plain(request.node.name)}/{key}")


def plain(name):
    return name.strip("]").replace("[", "-")


def test_a_crl_is_an_object_for_everybody_s_cache(house, bucket, get):
    """With its type, and for a minute at most."""
    crl = house.issue()

    bucket().publish(crl)

    found = get("issuing.crl")
    assert crl.crl == found["Body"].read()
    assert "application/pkix-crl" == found["ContentType"]
    assert "public, max-age=60" == found["CacheControl"]
    assert {"pikaserver-line": "issuing/full", "pikaserver-number": "1.1"} == found["Metadata"]


def test_a_newer_one_takes_its_place_and_an_older_one_does_not(house, bucket, get):
    """The object itself says which it is."""
    old, new = house.issue(), house.issue()
    bucket().publish(old)
    bucket().publish(new)

    with pytest.raises(Conflict, match=r"has CRL 1\.2, newer than 1\.1"):
        bucket().publish(old)

    assert new.crl == get("issuing.crl")["Body"].read()
    bucket().publish(new)


def test_the_first_crl_of_a_new_key_is_newer_than_all_of_the_old_one(house, bucket, get):
    """Numbers begin anew with each key."""
    house.issue()
    bucket().publish(house.issue())
    house.server.authorities.add("issuing", "root")
    new = next(crl for crl in house.server.crls.issue("issuing") if crl.generation == 2)

    bucket().publish(new)

    assert "2.1" == get("issuing.crl")["Metadata"]["pikaserver-number"]


def overtaken(publisher, by):
    """Let somebody else write between our look and our write, once."""
    send, left = publisher._client.send, [by]  # noqa: SLF001 - the moment that a race needs

    def slow(exchange):
        if exchange.method == "PUT" and left:
            left.pop()()
        return send(exchange)

    publisher._client.send = slow  # noqa: SLF001 - see above
    return publisher


@pytest.mark.parametrize("was_there", [False, True])
def test_who_is_overtaken_by_a_newer_one_gives_way(house, bucket, get, was_there):
    """Compare and swap: If-None-Match for the first, If-Match for the others."""
    if was_there:
        bucket().publish(house.issue())
    old, new = house.issue(), house.issue()
    publisher = overtaken(bucket(), lambda: bucket().publish(new))

    with pytest.raises(Conflict):
        publisher.publish(old)

    assert new.crl == get("issuing.crl")["Body"].read()


def test_who_is_overtaken_by_an_older_one_tries_again(house, bucket, get):
    """The newest is there in the end."""
    old, new = house.issue(), house.issue()

    overtaken(bucket(), lambda: bucket().publish(old)).publish(new)

    assert new.crl == get("issuing.crl")["Body"].read()


def test_without_compare_and_swap_a_target_that_lacks_it_can_be_used(house, bucket, get):
    """Then only the queue keeps the order."""
    publisher = bucket("compare-and-swap=false")
    old, new = house.issue(), house.issue()

    overtaken(publisher, lambda: bucket().publish(new)).publish(old)

    assert old.crl == get("issuing.crl")["Body"].read()


def test_somebody_else_s_object_is_replaced(house, bucket, get, s3, request):
    """It says nothing of a CRL of ours."""
    s3.client.put_object(Bucket="pki", Key=f"{request.node.name}/issuing.crl", Body=b"index")

    bucket().publish(crl := house.issue())

    assert crl.crl == get("issuing.crl")["Body"].read()


def test_certificates_and_names_with_blanks(house, bucket, get):
    """Keys are percent-encoded once, in the URL and in what is signed."""
    publisher = bucket(crl="a b+c/{authority}~{number}.crl")
    crl = house.issue()
    publisher.publish(crl)
    publisher.target.certificate(*house.certificate())

    assert crl.crl == get("a b+c/issuing~1.crl")["Body"].read()
    assert house.certificate()[1].certificate == get("issuing.cer")["Body"].read()


def test_a_wrong_key_is_told(house, bucket):
    """The server's own word for it."""
    with pytest.raises(RequestRejected, match="403"):
        bucket(secret_key="wrong").publish(house.issue())  # noqa: S106 - wrong indeed


def test_a_probe_finds_the_bucket(bucket, house, s3, secret):
    """Or says that there is none."""
    assert "the bucket pki is there" == bucket().target.probe()
    missing = house.publisher(
        f'kind="s3"\nendpoint="{s3.endpoint}"\nbucket="none"\naccess-key="{s3.access_key}"\n'
        f'secret-key-file="{secret(s3.secret_key)}"\ncrl="{{authority}}"'
    )
    with pytest.raises(RequestRejected, match="404"):
        missing.target.probe()


def test_a_server_that_is_away_is_unavailable(house, secret):
    """Nothing else is tried there meanwhile."""
    publisher = house.publisher(
        f'kind="s3"\nendpoint="http://127.0.0.1:9"\nbucket="pki"\naccess-key="me"\n'
        f'secret-key-file="{secret("sesame")}"\ncrl="{{authority}}"\npath-style=true'
    )

    with pytest.raises(Unavailable, match=r"127.0.0.1:9 cannot be reached"):
        publisher.publish(house.issue())
