"""Every URL of a directory: made in one place, and read back in the same."""

from dataclasses import dataclass
from urllib.parse import urlsplit

BASE = "/acme"


@dataclass(frozen=True, slots=True)
class Places:
    """The URLs of one policy's directory, as its clients reach it."""

    origin: str
    policy: str

    @property
    def root(self) -> str:
        """What all of them begin with."""
        return f"{self.origin}{BASE}/{self.policy}"

    @property
    def directory(self) -> str:
        """The directory."""
        return f"{self.root}/directory"

    def named(self, name: str) -> str:
        """Return one of the directory's resources: ``new-order``."""
        return f"{self.root}/{name}"

    def account(self, account_id: int) -> str:
        """Return an account's URL."""
        return f"{self.root}/account/{account_id}"

    def orders(self, account_id: int) -> str:
        """Return the URL of an account's orders."""
        return f"{self.account(account_id)}/orders"

    def order(self, order_id: int) -> str:
        """Return an order's URL."""
        return f"{self.root}/order/{order_id}"

    def authorization(self, authorization_id: int) -> str:
        """Return an authorization's URL."""
        return f"{self.root}/authorization/{authorization_id}"

    def challenge(self, challenge_id: int) -> str:
        """Return a challenge's URL."""
        return f"{self.root}/challenge/{challenge_id}"

    def certificate(self, order_id: int, chain: int = 0) -> str:
        """Return the URL of an order's certificate, with another chain if wanted."""
        url = f"{self.root}/certificate/{order_id}"
        return f"{url}/{chain}" if chain else url

    def star(self, token: str) -> str:
        """Return the URL under which the newest of several certificates is (RFC 8739)."""
        return f"{self.root}/star/{token}"

    def account_id(self, url: str) -> int | None:
        """Return which account a URL of ours means; ``None`` for any other."""
        head = f"{self.root}/account/"
        tail = url.removeprefix(head)
        if not url.startswith(head) or not tail.isascii() or not tail.isdecimal():
            return None
        # One spelling each, within what the database counts to.
        return int(tail) if len(tail) < 19 and tail == str(int(tail)) else None  # noqa: PLR2004 - digits of 2^63


def origin_of(url: str) -> str | None:
    """Return scheme, host and port of a URL in their usual spelling; ``None``: it has none."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return None
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.username is not None:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    usual = {"http": 80, "https": 443}[parts.scheme]
    return f"{parts.scheme}://{host}" + (f":{port}" if port not in {None, usual} else "")
