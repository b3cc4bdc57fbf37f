"""Moto as a server of S3."""

import contextlib
import json
import os
import sys

import boto3

from pikaserver.testing.servers import free_port
from tests.publish.programs import listens, started

SETUP = 4
"""Calls that moto lets everybody make, before it begins to check signatures and rights."""


@contextlib.contextmanager
def s3_server(folder):
    """Give moto as a server of S3, with a bucket ``pki`` and a user's keys.

    It verifies each signature with Amazon's own code, and honours If-Match and If-None-Match.
    """
    port = free_port()
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    environment = {**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": str(SETUP)}
    log = folder / "moto.log"
    with started(command, log, until=listens(port), env=environment):
        yield S3(f"http://127.0.0.1:{port}")


class S3:
    """Where it is, and how a client of Amazon's sees it."""

    def __init__(self, endpoint):
        self.endpoint = endpoint
        iam = self._client("iam", "setup", "setup")
        iam.create_user(UserName="pki")
        allow = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
        policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
        iam.put_user_policy(UserName="pki", PolicyName="pki", PolicyDocument=policy)
        key = iam.create_access_key(UserName="pki")["AccessKey"]
        self._client("s3", "setup", "setup").create_bucket(Bucket="pki")
        self.access_key, self.secret_key = key["AccessKeyId"], key["SecretAccessKey"]
        self.client = self._client("s3", self.access_key, self.secret_key)

    def get(self, key):
        """Return an object with its metadata."""
        return self.client.get_object(Bucket="pki", Key=key)

    def _client(self, service, access_key, secret_key):
        return boto3.client(
            service,
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret_key,
        )
