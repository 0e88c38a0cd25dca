"""The broker as a process: command line, signals, its data directory, restarts."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import rigel
from tests.integration.endpoints import await_closed_port
from tests.integration.subscriptions import create, document, number

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, StartBroker

COMMAND_TIMEOUT_S = 30.0
SOURCES = str(Path(rigel.__file__).parent)  # for commands that run in another directory
TRACEBACK = "Traceback"


def run(
    *words: str, environment: dict[str, str] | None = None, directory: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """Run `rigel` with these words until it ends."""
    return subprocess.run(
        [sys.executable, "-m", "rigel", *words],
        capture_output=True,
        text=True,
        timeout=COMMAND_TIMEOUT_S,
        cwd=directory,
        env={**os.environ, "PYTHONPATH": SOURCES, **(environment or {})},
        check=False,
    )


class TestCommandLine:
    def test_help_names_the_flags(self) -> None:
        ended = run("broker", "--help")
        assert (ended.returncode, ended.stderr) == (0, "")
        assert ended.stdout.startswith("usage: rigel broker")
        for flag in ("-port", "--port", "-multiservice", "-corsOrigin", "--data-dir", "-dbURI"):
            assert flag in ended.stdout
        for variable in ("ORION_PORT", "RIGEL_DATA_DIR"):
            assert variable in ended.stdout
        assert run("broker", "-u").stdout == ended.stdout  # as Orion spells it

    def test_version(self) -> None:
        for words in (["--version"], ["broker", "--version"]):
            ended = run(*words)
            assert (ended.returncode, ended.stderr) == (0, "")
            assert ended.stdout.startswith("rigel ")

    @pytest.mark.parametrize("words", [[], ["nonsense"], ["--nonsense"]])
    def test_no_command(self, words: list[str]) -> None:
        ended = run(*words)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert "rigel" in ended.stderr

    @pytest.mark.parametrize(
        ("flags", "at_fault"),
        [
            (["--foo"], "--foo"),
            (["-foo", "1"], "-foo"),
            (["-multiserviceXXX"], "-multiserviceXXX"),
            (["-prot", "1026"], "-port"),  # what was meant
            (["word"], "word"),
            (["-port"], "-port"),
            (["-port", "x"], "-port"),
            (["-port", "65536"], "-port"),
            (["-port", "-1"], "-port"),
            (["-localIp", "nowhere"], "-localIp"),
            (["-ipv4", "-ipv6"], "-ipv4"),
            (["-logLevel", "LOUD"], "-logLevel"),
            (["-t", "0-255"], "-t"),
            (["-corsMaxAge", "x"], "-corsMaxAge"),
            (["-httpTimeout", "0.5"], "-httpTimeout"),
            (["-notificationMode", "sometimes"], "-notificationMode"),
            (["--durability", "for ever"], "--durability"),
            (["--notification-queue-length", "0"], "--notification-queue-length"),
        ],
    )
    def test_bad_flags(self, tmp_path: Path, flags: list[str], at_fault: str) -> None:
        ended = run("broker", "--data-dir", "data", *flags, directory=tmp_path)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert at_fault in ended.stderr
        assert TRACEBACK not in ended.stderr
        assert len(ended.stderr.splitlines()) == 1
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize(
        ("variable", "value"), [("RIGEL_PORT", "x"), ("ORION_LOG_LEVEL", "LOUD")]
    )
    def test_bad_variables(self, tmp_path: Path, variable: str, value: str) -> None:
        ended = run("broker", environment={variable: value}, directory=tmp_path)
        assert (ended.returncode, ended.stdout) == (2, "")
        assert variable in ended.stderr
        assert TRACEBACK not in ended.stderr
        assert list(tmp_path.iterdir()) == []

    def test_flags_of_orion_without_effect(self, start_broker: StartBroker) -> None:
        broker = start_broker(
            "-dbURI", "mongodb://nowhere", "-dbPoolSize", "10", "-noCache", "-subCacheIval", "5"
        )
        # Taken and said.
        log = broker.log.read_text()
        for flag in ("-dbURI", "-dbPoolSize", "-noCache", "-subCacheIval"):
            assert flag in log


class TestSignals:
    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_end(self, tmp_path: Path, number: signal.Signals) -> None:
        words = ["--port", "0", "--local-ip", "127.0.0.1", "--data-dir", str(tmp_path / "data")]
        with subprocess.Popen(
            [sys.executable, "-m", "rigel", "broker", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            listens = re.match(r"Rigel listens on 127\.0\.0\.1:(\d+), ", process.stdout.readline())
            assert listens is not None
            address = ("127.0.0.1", int(listens[1]))
            # A connection that is kept open does not keep the broker from ending.
            with socket.create_connection(address, timeout=COMMAND_TIMEOUT_S) as client:
                client.sendall(b"GET /version HTTP/1.1\r\nHost: broker\r\n\r\n")
                assert client.recv(4096).startswith(b"HTTP/1.1 200 ")
                process.send_signal(number)
                _, errors = process.communicate(timeout=COMMAND_TIMEOUT_S)
            assert (process.returncode, errors) == (0, "")

    def test_request_under_way_is_answered(self, start_broker: StartBroker) -> None:
        broker = start_broker()
        body = b'{"id":"E"}'
        head = (
            b"POST /v2/entities HTTP/1.1\r\nHost: broker\r\nContent-Type: application/json\r\n"
            b"Expect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
        )
        with socket.create_connection(("127.0.0.1", broker.port)) as client:
            client.settimeout(COMMAND_TIMEOUT_S)
            client.sendall(head)
            assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
            client.sendall(body[:5])
            os.kill(broker.pid, signal.SIGTERM)
            await_closed_port(broker.port)
            client.sendall(body[5:])
            assert client.recv(4096).startswith(b"HTTP/1.1 201 ")
        assert broker.stop() == 0


class TestDataDirectory:
    def refuse(self, directory: Path, *flags: str) -> str:
        """What a broker says that does not start."""
        ended = run("broker", "--port", "0", "--data-dir", str(directory), *flags)
        assert (ended.returncode, ended.stdout) == (1, "")
        assert TRACEBACK not in ended.stderr
        return ended.stderr.splitlines()[-1]

    def test_second_broker_is_refused(self, start_broker: StartBroker, connect: Connect) -> None:
        broker = start_broker()
        api = connect(broker, "")
        create(api, A=1)
        # It waits a while for the first to end, as in a restart in place.
        message = self.refuse(broker.directory)
        assert message.startswith("rigel broker: ")
        assert str(broker.directory) in message
        assert str(broker.pid) in message
        # The first is none the worse for it.
        create(api, "F", A=1)
        assert broker.stop() == 0
        api = connect(start_broker(directory=broker.directory), "")
        assert [entity["id"] for entity in api.get("/v2/entities").json] == ["E", "F"]

    def test_lock_of_a_killed_broker_is_free(
        self, start_broker: StartBroker, connect: Connect
    ) -> None:
        broker = start_broker()
        broker.kill()
        assert connect(start_broker(directory=broker.directory), "").get("/v2").status == 200

    def test_file_in_its_place(self, tmp_path: Path) -> None:
        file = tmp_path / "data"
        file.write_text("not a directory")
        assert str(file) in self.refuse(file)
        assert file.read_text() == "not a directory"

    def test_is_made(self, tmp_path: Path, start_broker: StartBroker) -> None:
        directory = tmp_path / "a" / "b"
        directory.parent.mkdir()
        start_broker(directory=directory)
        assert directory.is_dir()

    def test_port_that_is_taken(self, tmp_path: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            ended = run(
                "broker",
                *("--port", str(port), "--local-ip", "127.0.0.1"),
                *("--data-dir", str(tmp_path / "data")),
            )
        assert (ended.returncode, ended.stdout) == (1, "")
        assert str(port) in ended.stderr
        assert TRACEBACK not in ended.stderr


class TestRestart:
    @pytest.mark.parametrize("end", ["stop", "kill"])
    def test_everything_is_as_it_was(
        self, start_broker: StartBroker, connect: Connect, end: str
    ) -> None:
        broker = start_broker("-multiservice")
        api, other = connect(broker, "t"), connect(broker, "u")
        for index in range(30):
            entity = {
                "id": f"E{index}",
                "type": f"T{index % 3}",
                "n": number(index, m={"type": "Text", "value": "x"}),
                "when": {"type": "DateTime", "value": "2020-01-01"},
                "place": {
                    "type": "geo:json",
                    "value": {"type": "Point", "coordinates": [index, index]},
                },
            }
            api.create(entity, service_path="/a" if index % 2 else "/")
        create(other, A=1)
        for index in (2, 4):
            assert api.delete(f"/v2/entities/E{index}").status == 204
        for index in (6, 8):
            reply = api.patch(f"/v2/entities/E{index}/attrs", {"n": number(-index)})
            assert reply.status == 204
        assert api.delete("/v2/entities/E7/attrs/n", service_path="/a").status == 204
        api.create({"id": "E2", "type": "T2"})  # anew, and so the last
        registrations = [
            {
                "description": f"R{index}",
                "dataProvided": {"entities": [{"id": f"R{index}"}], "attrs": ["A"]},
                "provider": {"http": {"url": "http://localhost:1/v2"}},
                "status": "inactive",  # the look itself would else count as forwarded
            }
            for index in range(3)
        ]
        for registration in registrations:
            assert api.post("/v2/registrations", registration).status == 201
        api.subscribe(document("http://localhost:1"))
        before = self.look(api), self.look(other)
        if end == "kill":
            broker.kill()
        else:
            assert broker.stop() == 0
        broker = start_broker("-multiservice", directory=broker.directory)
        api, other = connect(broker, "t"), connect(broker, "u")
        assert (self.look(api), self.look(other)) == before
        # The next entity comes last.
        create(api, "Next", A=1)
        assert api.get("/v2/entities", limit=100).json[-1]["id"] == "Next"

    @staticmethod
    def look(api: Api) -> list[Any]:
        """All that a tenant holds, in its order, with dates."""
        near = {"georel": "near;maxDistance:500000", "geometry": "point", "coords": "9,9"}
        replies = (
            api.get("/v2/entities", limit=100),
            api.get("/v2/entities", limit=100, attrs="dateCreated,dateModified,servicePath,*"),
            api.get("/v2/entities", limit=100, metadata="dateCreated,dateModified,*"),
            api.get("/v2/entities", limit=100, orderBy="!n"),
            api.get("/v2/entities", **near),
            api.get("/v2/types"),
            api.get("/v2/subscriptions"),
            api.get("/v2/registrations"),
        )
        assert [reply.status for reply in replies] == [200] * len(replies)
        return [reply.json for reply in replies]
