"""Our Signature Version 4 is that of Amazon's documentation, and of Amazon's own library."""

import hashlib
from datetime import UTC, datetime

import pytest
from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as TheirCredentials
from hypothesis import given
from hypothesis import strategies as st

from pikaserver_publish.sigv4 import EMPTY_HASH, Credentials, ToSign, signed_headers

# From "Signature Calculations for the Authorization Header" in the API reference of Amazon S3.
SECRET = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"  # noqa: S105 - published, opens nothing
EXAMPLE = Credentials("AKIAIOSFODNN7EXAMPLE", SECRET)
HOST = "https://examplebucket.s3.amazonaws.com"
AT = datetime(2013, 5, 24, tzinfo=UTC)
WELCOME = hashlib.sha256(b"Welcome to Amazon S3.").hexdigest()


@pytest.mark.parametrize(
    ("request_", "signature"),
    [
        (
            ToSign("GET", f"{HOST}/test.txt", {"Range": "bytes=0-9"}, EMPTY_HASH),
            "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
        ),
        (
            ToSign(
                "PUT",
                f"{HOST}/test%24file.text",
                {
                    "Date": "Fri, 24 May 2013 00:00:00 GMT",
                    "x-amz-storage-class": "REDUCED_REDUNDANCY",
                },
                WELCOME,
            ),
            "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd",
        ),
        (
            ToSign("GET", f"{HOST}/?lifecycle", {}, EMPTY_HASH),
            "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543",
        ),
        (
            ToSign("GET", f"{HOST}/?max-keys=2&prefix=J", {}, EMPTY_HASH),
            "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7",
        ),
    ],
)
def test_the_examples_of_the_documentation_come_out(request_, signature):
    """Octet by octet, or the service would refuse us."""
    headers = signed_headers(request_, EXAMPLE, "us-east-1", AT)

    assert headers["Authorization"].endswith(f"Signature={signature}")
    assert headers["x-amz-date"] == "20130524T000000Z"


VALUES = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=20)
WORDS = st.text("abcdefghijklmnopqrstuvwxyz0123456789-._~", min_size=1, max_size=12)


@given(path=st.lists(WORDS, max_size=4), value=VALUES, token=st.none() | VALUES, method=WORDS)
def test_amazon_s_own_library_signs_the_same(path, value, token, method):
    """Whatever the key, the headers and the session are."""
    url = "https://s3.example:9000/" + "/".join(path)
    ours = signed_headers(
        ToSign(method.upper(), url, {"If-Match": value}, WELCOME),
        Credentials("me", "secret", token),
        "eu-west-1",
        AT,
    )

    theirs = AWSRequest(method.upper(), url, {"If-Match": value})
    theirs.headers["X-Amz-Content-SHA256"] = WELCOME
    theirs.context["timestamp"] = ours["x-amz-date"]
    auth = S3SigV4Auth(TheirCredentials("me", "secret", token), "s3", "eu-west-1")
    if token is not None:
        theirs.headers["X-Amz-Security-Token"] = token
    theirs.headers["X-Amz-Date"] = ours["x-amz-date"]
    canonical = auth.canonical_request(theirs)
    signature = auth.signature(auth.string_to_sign(theirs, canonical), theirs)

    assert ours["Authorization"].endswith(f"Signature={signature}")
