"""A connection on which a test says exactly which bytes go out, and when."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from typing import Final, Self

ANSWER_TIMEOUT_S: Final = 30.0  # a healthy broker answers in milliseconds


@dataclass(frozen=True, slots=True)
class RawReply:
    """One reply as it came."""

    status: int
    head: bytes  # status line and header fields, each with its CRLF
    body: bytes

    def field(self, name: str) -> str | None:
        """A header field by its name in any case, None without it."""
        for line in self.head.decode().split("\r\n")[1:]:
            field, _, value = line.partition(":")
            if field.lower() == name.lower():
                return value.strip()
        return None


class RawConnection:
    """An open connection to a broker; a context manager that closes it."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=ANSWER_TIMEOUT_S)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._rest = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def read(self, count: int = 1) -> list[RawReply]:
        """The next replies; raises ConnectionError when the connection ends before."""
        replies: list[RawReply] = []
        while len(replies) < count:
            head, end, rest = self._rest.partition(b"\r\n\r\n")
            length = 0
            if end:
                for line in head.lower().split(b"\r\n"):
                    if line.startswith(b"content-length:"):
                        length = int(line.partition(b":")[2])
            if end and len(rest) >= length:
                replies.append(RawReply(int(head[9:12]), head + b"\r\n", rest[:length]))
                self._rest = rest[length:]
                continue
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError(f"ended after {len(replies)} of {count} replies")
            self._rest += data
        return replies

    def has_ended(self) -> bool:
        """Whether the broker closes the connection without another byte; waits for either."""
        try:
            return not self._rest and self.socket.recv(1) == b""
        except ConnectionError:
            return True


def make_request(
    method: str, path: str, body: bytes | None = None, *fields: str, host: str = "broker"
) -> bytes:
    """The bytes of a request; a body is JSON. `fields` are whole, without their CRLF."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *fields]
    if body is not None:
        if not any(field.lower().startswith("content-type:") for field in fields):
            lines.append("Content-Type: application/json")
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")
