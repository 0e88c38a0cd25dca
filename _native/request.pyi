class MalformedRequest(ValueError):
    """A method, target or header with characters that HTTP does not allow."""

def compose_request(
    method: str, target: bytes, host: bytes, headers: dict[str, str], body: bytes
) -> bytes:
    """The bytes of a request with its body (RFC 9112), copied once.

    `headers` go out in UTF-8, in this order and spelling; Host stands before them unless it is
    among them, Content-Length after them (not for an empty body of GET, HEAD, OPTIONS and
    TRACE). Content-Length, Transfer-Encoding and Expect among them are left out.

    Raises MalformedRequest. Costs about a nanosecond per byte of the head.
    """

def measure_headers(headers: dict[str, str]) -> int:
    """Characters of all names and values, and two for each header."""
