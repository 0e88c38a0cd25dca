"""The words for an exchange without a response.

They are libcurl's (`curl_easy_strerror`, libcurl 8), because Orion shows them as
`lastFailureReason` and clients compare them. Owns the words alone.
"""

from __future__ import annotations

from typing import Final

COULD_NOT_CONNECT: Final = "Could not connect to server"
COULD_NOT_RESOLVE: Final = "Could not resolve hostname"
TIMEOUT: Final = "Timeout was reached"
NOTHING_RETURNED: Final = "Server returned nothing (no headers, no data)"
SEND_FAILED: Final = "Failed sending data to the peer"
RECEIVE_FAILED: Final = "Failure when receiving data from the peer"
PARTIAL_BODY: Final = "Transferred a partial file"
WEIRD_REPLY: Final = "Weird server reply"
TLS_FAILED: Final = "SSL connect error"
CERTIFICATE_REFUSED: Final = "SSL peer certificate or SSH remote key was not OK"
TOO_MANY_REDIRECTS: Final = "Number of redirects hit maximum amount"
URL_MALFORMED: Final = "URL using bad/illegal format or missing URL"
UNSUPPORTED_PROTOCOL: Final = "Unsupported protocol"
# libcurl has no word for this one: it would send such a request.
REQUEST_MALFORMED: Final = "HTTP method or header with characters that HTTP does not allow"


class Undelivered(Exception):
    """No response came. `reason` is the text for `lastFailureReason`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
