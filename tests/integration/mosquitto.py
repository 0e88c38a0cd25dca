"""A real MQTT broker as a child process, and a client that hears what is published to it."""

from __future__ import annotations

import queue
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

WAIT_TIMEOUT_S: Final = 30.0  # only a hanging process reaches it
_POLL_INTERVAL_S: Final = 0.01
# Debian keeps it where only root looks.
EXECUTABLE: Final = shutil.which("mosquitto") or shutil.which("mosquitto", path="/usr/sbin")
PASSWORDS: Final = shutil.which("mosquitto_passwd")


def find_port() -> int:
    """A port that is free now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


class Mosquitto:
    """A broker on a port of its own; with `users` (names to passwords) nobody else gets in."""

    def __init__(self, directory: Path, users: dict[str, str] | None = None) -> None:
        assert EXECUTABLE is not None
        directory.mkdir()
        self.port = find_port()
        self.url = f"mqtt://127.0.0.1:{self.port}"
        self._log = directory / "mosquitto.log"
        lines = [f"listener {self.port} 127.0.0.1", "persistence false", "connection_messages true"]
        if users is None:
            lines.append("allow_anonymous true")
        else:
            assert PASSWORDS is not None
            passwords = directory / "passwords"
            passwords.touch(mode=0o600)
            for name, password in users.items():
                subprocess.run([PASSWORDS, "-b", str(passwords), name, password], check=True)
            lines += ["allow_anonymous false", f"password_file {passwords}"]
        # Run by root it would become another user, who may not read the files of the test.
        lines.append("user root")
        self._configuration = directory / "mosquitto.conf"
        self._configuration.write_text("\n".join(lines) + "\n")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it listens."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(EXECUTABLE), "-c", str(self._configuration)], stdout=log, stderr=log
            )
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while True:
            assert self._process.poll() is None, self.log
            assert time.monotonic() < deadline, self.log
            try:
                socket.create_connection(("127.0.0.1", self.port)).close()
            except ConnectionRefusedError:
                time.sleep(_POLL_INTERVAL_S)
            else:
                return self

    def stop(self) -> None:
        """End it; its clients lose their connections."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(WAIT_TIMEOUT_S)
            self._process = None

    @property
    def log(self) -> str:
        """What it logged so far."""
        return self._log.read_text()

    def count_logins(self) -> int:
        """How many clients with the given client ids as Rigel's (none of their own) came."""
        return sum("New client connected" in line and "as auto-" in line for line in self._lines())

    def count_goodbyes(self) -> int:
        """How many of them went."""
        return sum("Client auto-" in line and "disconnected" in line for line in self._lines())

    def _lines(self) -> list[str]:
        return self.log.splitlines()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exception: object) -> None:
        self.stop()


@dataclass(frozen=True, slots=True)
class Heard:
    """One message as a subscriber gets it."""

    topic: str
    payload: bytes
    qos: int
    retain: bool


class Listener:
    """A subscriber to all topics of an MQTT broker; messages in the order of their arrival."""

    def __init__(self, port: int, login: Sequence[str] = (), topic: str = "#") -> None:
        self._heard: queue.SimpleQueue[Heard] = queue.SimpleQueue()
        self._ready: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id="listener", clean_session=True
        )
        if login:
            self._client.username_pw_set(*login)
        self._client.on_connect = self._subscribe
        self._client.on_subscribe = lambda *_: self._ready.put(None)
        self._client.on_message = self._take
        self._topic = topic
        self._client.connect("127.0.0.1", port)
        self._client.loop_start()
        self._ready.get(timeout=WAIT_TIMEOUT_S)

    def _subscribe(self, client: paho.Client, *_: Any) -> None:
        client.subscribe(self._topic, qos=2)

    def _take(self, client: paho.Client, userdata: object, message: paho.MQTTMessage) -> None:
        self._heard.put(Heard(message.topic, bytes(message.payload), message.qos, message.retain))

    def next(self) -> Heard:
        """The next message; waits for it."""
        return self._heard.get(timeout=WAIT_TIMEOUT_S)

    @property
    def is_empty(self) -> bool:
        """Whether there is no message that was not taken."""
        return self._heard.empty()

    def close(self) -> None:
        """Leave."""
        self._client.disconnect()
        self._client.loop_stop()
