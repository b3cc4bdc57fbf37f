"""Where a server can be reached, as its settings say."""

import ipaddress

from pikaserver.settings.model import HostSettings


def base_url(host: HostSettings, service: str) -> str | None:
    """Return the beginning of a service's URLs, ``None`` where no listener serves it.

    A plain listener is preferred, for what must not need TLS.
    """
    named = host.server.base_urls.get(service)
    if named is not None:
        return named
    serving = [one for one in host.listeners.values() if service in one.serve]
    serving = [one for one in serving if one.unix_path is None]
    if not serving:
        return None
    listener = min(serving, key=lambda one: one.tls is not None)
    address, port = listener.address
    scheme, usual = ("https", 443) if listener.tls else ("http", 80)
    name = host.server.hostname or address
    shown = f"[{name}]" if ":" in name else name
    return f"{scheme}://{shown}" if port == usual else f"{scheme}://{shown}:{port}"


def local_urls(host: HostSettings, service: str) -> list[str]:
    """Return how programs on this machine reach a service that listens on loopback over TLS."""
    found = []
    for listener in host.listeners.values():
        if service in listener.serve and listener.tls is not None and listener.unix_path is None:
            address, port = listener.address
            if is_loopback(address):
                shown = f"[{address}]" if ":" in address else address
                found += [f"https://localhost:{port}", f"https://{shown}:{port}"]
    return found


def is_loopback(address: str) -> bool:
    """Tell whether an address, not a name, is one of this machine for itself."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


def ports(host: HostSettings) -> set[int]:
    """Return the ports that listeners name; 0 stands for one that the system chooses."""
    return {one.address[1] for one in host.listeners.values() if one.unix_path is None}
