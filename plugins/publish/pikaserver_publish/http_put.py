"""Targets that take files by HTTP PUT (RFC 9110 section 9.3.4)."""

import base64
from collections.abc import Mapping
from urllib.parse import quote

from pikaserver.api.certificates import AuthorityRecord, Generation
from pikaserver.api.crls import CrlRecord
from pikaserver.api.outgoing import Exchange, read_secret
from pikaserver.api.publishing import Target
from pikaserver_publish.contents import Content, certificate_content, crl_content
from pikaserver_publish.selection import Selection
from pikaserver_publish.settings import HttpTarget
from pikaserver_publish.uploads import check_stored, http_client, request


class HttpPublisher:
    """Puts files; that no older one comes after a newer one is the queue's care."""

    def __init__(self, name: str, settings: HttpTarget, selection: Selection) -> None:
        self.name = name
        self._settings = settings
        self._selection = selection
        self._client = http_client(settings, settings.timeout_seconds)

    @property
    def target(self) -> Target:
        """See ``pikaserver.api.publishing.TargetPublisher``."""
        settings = self._settings
        names = [name for name in (settings.crl, settings.certificate) if name]
        return Target(
            place=f"{' '.join(names)} ({settings.form})",
            wants=self._selection.wants,
            certificate=self._publish_certificate,
            wants_certificate=self._selection.wants_certificate,
            probe=self._probe,
        )

    def publish(self, crl: CrlRecord) -> None:
        """See ``pikaserver.api.publishing.Publisher``."""
        if self._selection.crl is not None:
            url = self._selection.crl.of_crl(crl.summary, quote)
            self._put(url, crl_content(crl, self._settings.form))

    def _publish_certificate(self, authority: AuthorityRecord, generation: Generation) -> None:
        if self._selection.certificate is not None:
            url = self._selection.certificate.of_certificate(
                authority.name, generation.number, quote
            )
            self._put(url, certificate_content(generation, url))

    def _put(self, url: str, content: Content) -> None:
        answer = self._client.send(request("PUT", url, self._credentials(), content))
        check_stored(answer, f"PUT {url}")

    def _credentials(self) -> Mapping[str, str]:
        settings = self._settings
        if settings.token_file is not None:
            return {"Authorization": f"Bearer {read_secret(settings.token_file)}"}
        if settings.user is not None and settings.password_file is not None:
            pair = f"{settings.user}:{read_secret(settings.password_file)}"
            return {"Authorization": f"Basic {base64.b64encode(pair.encode()).decode('ascii')}"}
        return {}

    def _probe(self) -> str:
        """Ask what the server says to OPTIONS; whether it takes a PUT only a PUT can tell."""
        template = self._selection.crl or self._selection.certificate
        url = "" if template is None else template.text.partition("{")[0].rpartition("/")[0] + "/"
        answer = self._client.send(Exchange("OPTIONS", url, self._credentials()))
        return f"{url} answers {answer.status} {answer.reason} to OPTIONS"
