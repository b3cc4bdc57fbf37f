"""What a worker does with a complete request: ask the application, or say why not."""

from http import HTTPStatus

from waitress.task import ErrorTask, WSGITask

from pikaserver.api.web import CONNECTION_KEY
from pikaserver.web.problems import MEDIA_TYPE, Problem
from pikaserver.web.shortcuts import closes
from pikaserver.web.strict import RequestRefused


class ApplicationTask(WSGITask):  # type: ignore[misc]  # waitress ships no types, and is extended so
    """Asks a shortcut, then the application."""

    def execute(self) -> None:
        """Answer the request."""
        server = self.channel.server
        octets = None if server.draining else server.shortcuts.answer(self.request)
        if octets is None:
            super().execute()
            return
        self.complete = self.wrote_header = True
        if closes(self.request):
            self.set_close_on_finish()
        self.channel.write_whole(octets)

    def build_response_header(self) -> bytes:
        """Return the head of the answer; the last one of a connection says so."""
        if self.request.unread or self.channel.server.draining:
            self.channel.unread |= self.request.unread
            self.set_close_on_finish()
        head: bytes = super().build_response_header()
        return head

    def get_environment(self) -> dict[str, object]:
        """Return the WSGI environ with the caller, which no header can write."""
        environ: dict[str, object] = super().get_environment()
        connection = self.request.caller.connection
        environ[CONNECTION_KEY] = connection
        environ["REMOTE_ADDR"] = environ["REMOTE_HOST"] = connection.address
        return environ

    def finish(self) -> None:
        """Send the answer from here: the loop may be busy with others."""
        if not self.wrote_header:
            self.write(b"")
        if self.request.command == "HEAD":
            # waitress would end a chunked body that was never begun.
            self.chunked_response = False
        super().finish()
        self.channel.flush()


class RefusalTask(ErrorTask):  # type: ignore[misc]  # waitress ships no types, and is extended so
    """Answers a request that the application never sees, then ends the connection."""

    def execute(self) -> None:
        """Write the problem; an unforeseen error of waitress or the application is a bare 500."""
        error = self.request.error
        if not isinstance(error, RequestRefused):
            error = RequestRefused(HTTPStatus.INTERNAL_SERVER_ERROR, "")
        self.channel.unread = True
        request_id = self.channel.server.next_request_id()
        body = Problem(error.status, str(error) or None).document(request_id)
        self.status = f"{error.status.value} {error.status.phrase}"
        self.response_headers += [
            ("Content-Type", MEDIA_TYPE),
            ("Cache-Control", "no-store"),
            ("X-Content-Type-Options", "nosniff"),
            ("X-Request-Id", request_id),
        ]
        if error.retry_after is not None:
            self.response_headers.append(("Retry-After", str(error.retry_after)))
        self.set_close_on_finish()
        self.content_length = len(body)
        # RFC 9110 section 9.3.2: no body after HEAD, even if it was refused.
        self.write(b"" if self.request.command == "HEAD" else body)
        self.channel.server.note_refusal(self.channel, error, request_id)

    def finish(self) -> None:
        """Send the answer from here."""
        super().finish()
        self.channel.flush()
