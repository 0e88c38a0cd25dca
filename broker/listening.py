"""Where a broker listens, and whether with TLS."""

from __future__ import annotations

import logging
import socket
import ssl
from typing import Final

from broker.settings import Settings, SettingsError

_log = logging.getLogger("rigel.listening")

BACKLOG: Final = 1024  # connections that wait to be accepted


def make_tls_context(settings: Settings) -> ssl.SSLContext | None:
    """TLS 1.2 or later with the settings' key and certificate (a chain), None for plain HTTP.

    Raises SettingsError, naming the files, for what is no key with its certificate.
    """
    if not settings.https:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    try:
        # The password callback keeps OpenSSL from asking at a terminal for that of the key.
        context.load_cert_chain(settings.https_cert_file, settings.https_key_file, lambda: "")
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise SettingsError(
            f"-cert {settings.https_cert_file} and -key {settings.https_key_file} "
            f"cannot be used: {error}"
        ) from error
    return context


def open_listeners(settings: Settings) -> list[socket.socket]:
    """The listening sockets: IPv4 and IPv6, or what the settings say.

    Port 0 is chosen by the system, and the same for both. Without IPv6 on the machine, IPv4
    alone is listened on, unless IPv6 was asked for.
    """
    port = settings.port
    listeners: list[socket.socket] = []
    for address in settings.listen_addresses:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            listener = socket.create_server(
                (address, port), family=family, backlog=BACKLOG, dualstack_ipv6=False
            )
        except OSError:
            if family is socket.AF_INET6 and listeners:
                _log.warning("no IPv6 here: listening on IPv4 only")
                break
            for other in listeners:
                other.close()
            raise
        listener.setblocking(False)
        port = listener.getsockname()[1]
        listeners.append(listener)
    return listeners
