"""Targets that are buckets of S3: objects that are swapped only if nobody else did meanwhile."""

import hashlib
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from pikaserver.api.certificates import AuthorityRecord, Generation
from pikaserver.api.crls import CrlRecord
from pikaserver.api.errors import Conflict, Unavailable
from pikaserver.api.operations import Clock
from pikaserver.api.outgoing import Answer, read_secret
from pikaserver.api.publishing import Target
from pikaserver_publish.contents import Content, certificate_content, crl_content
from pikaserver_publish.selection import Selection
from pikaserver_publish.settings import S3Target
from pikaserver_publish.sigv4 import EMPTY_HASH, Credentials, ToSign, signed_headers
from pikaserver_publish.uploads import check_stored, http_client, request

_OK, _MISSING, _CONFLICT, _PRECONDITION = 200, 404, 409, 412
_ATTEMPTS = 3
_LINE = "x-amz-meta-pikaserver-line"
_NUMBER = "x-amz-meta-pikaserver-number"


class S3Publisher:
    """Puts objects; each says which CRL it is, and an older one never takes its place."""

    def __init__(self, name: str, settings: S3Target, selection: Selection, clock: Clock) -> None:
        self.name = name
        self._settings = settings
        self._selection = selection
        self._clock = clock
        self._client = http_client(settings, settings.timeout_seconds)

    @property
    def target(self) -> Target:
        """See ``pikaserver.api.publishing.TargetPublisher``."""
        settings = self._settings
        names = [name for name in (settings.crl, settings.certificate) if name]
        return Target(
            place=f"{settings.endpoint} {settings.bucket}: {' '.join(names)} ({settings.form})",
            wants=self._selection.wants,
            certificate=self._publish_certificate,
            wants_certificate=self._selection.wants_certificate,
            probe=self._probe,
        )

    def publish(self, crl: CrlRecord) -> None:
        """See ``pikaserver.api.publishing.Publisher``."""
        if self._selection.crl is None:
            return
        url = self._url(self._selection.crl.of_crl(crl.summary))
        content = crl_content(crl, self._settings.form)
        headers = {_LINE: f"{crl.authority}/{crl.scope}", _NUMBER: _age(crl)}
        for _ in range(_ATTEMPTS):
            there = self._send("HEAD", url)
            if there.status != _MISSING:
                check_stored(there, f"HEAD {url}")
            _refuse_newer(there, headers, url)
            answer = self._send("PUT", url, {**headers, **self._condition(there)}, content)
            if answer.status not in (_CONFLICT, _PRECONDITION):
                check_stored(answer, f"PUT {url}")
                return
        raise Unavailable(f"PUT {url}: {answer.status}, for somebody else writes it all the time")

    def _publish_certificate(self, authority: AuthorityRecord, generation: Generation) -> None:
        if self._selection.certificate is not None:
            name = self._selection.certificate.of_certificate(authority.name, generation.number)
            url = self._url(name)
            answer = self._send("PUT", url, {}, certificate_content(generation, name))
            check_stored(answer, f"PUT {url}")

    def _condition(self, there: Answer) -> Mapping[str, str]:
        """Return what lets the target refuse when the object is another one by now."""
        if not self._settings.compare_and_swap:
            return {}
        tag = there.headers.get("etag")
        return {"If-None-Match": "*"} if there.status == _MISSING or not tag else {"If-Match": tag}

    def _send(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str] | None = None,
        content: Content | None = None,
    ) -> Answer:
        settings = self._settings
        digest = EMPTY_HASH if content is None else _hash_of(content)
        own = dict(headers or {})
        if content is not None:
            own["Cache-Control"] = f"public, max-age={settings.max_age}"
        credentials = Credentials(
            settings.access_key,
            read_secret(settings.secret_key_file),
            settings.session_token_file and read_secret(settings.session_token_file),
        )
        asked = ToSign(method, url, own, digest)
        signed = signed_headers(asked, credentials, settings.region, self._clock())
        return self._client.send(request(method, url, signed, content))

    def _url(self, key: str) -> str:
        settings = self._settings
        parts = urlsplit(settings.endpoint)
        folder = parts.path.rstrip("/")
        path = quote(key.lstrip("/"), safe="/-_.~")
        if settings.path_style:
            return f"{parts.scheme}://{parts.netloc}{folder}/{settings.bucket}/{path}"
        return f"{parts.scheme}://{settings.bucket}.{parts.netloc}{folder}/{path}"

    def _probe(self) -> str:
        """Ask for the bucket, which needs the credentials and changes nothing."""
        url = self._url("")
        check_stored(self._send("HEAD", url), f"HEAD {url}")
        return f"the bucket {self._settings.bucket} is there"


def _age(crl: CrlRecord) -> str:
    """Return what grows with each CRL of a name; with a new key numbers begin anew."""
    return f"{crl.generation}.{crl.number}"


def _refuse_newer(there: Answer, ours: Mapping[str, str], url: str) -> None:
    """Refuse to replace a newer CRL; an object that somebody else put there may go.

    Raises:
        Conflict: what is there is the newer one.
    """
    if there.headers.get(_LINE) != ours[_LINE]:
        return
    number = there.headers.get(_NUMBER, "")
    if _read_age(number) > _read_age(ours[_NUMBER]):
        raise Conflict(f"{url} has CRL {number}, newer than {ours[_NUMBER]}")


def _read_age(text: str) -> tuple[int, ...]:
    parts = text.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _hash_of(content: Content) -> str:
    digest = hashlib.sha256()
    for piece in content.pieces():
        digest.update(piece)
    return digest.hexdigest()
