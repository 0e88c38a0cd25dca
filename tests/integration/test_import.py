"""`rigel import --from-url`: from a running broker to a directory and to another broker.

The source is a Rigel, which speaks Orion's API; what Orion does otherwise is in the test with a
scripted source.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

import rigel

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Connect, Receiver, StartBroker

BUILTINS = {
    "attrs": "*,dateCreated,dateModified,dateExpires,servicePath",
    "metadata": "*,dateCreated,dateModified",
}
ROOMS = {"entities": [{"idPattern": ".*", "type": "Room"}]}
ENTITIES: list[tuple[str | None, dict[str, Any]]] = [
    (None, {"id": "Plain", "type": "Room", "t": {"value": 21.5}, "none": {"value": None}}),
    (
        "/madrid",
        {
            "id": "Rich",
            "type": "Room",
            "when": {"type": "DateTime", "value": "2026-01-02T03:04:05.678Z"},
            "parts": {"value": {"a.b": [1, {"c": False}]}},
            "text": {"type": "TextUnrestricted", "value": "<a> = 'b'"},
            "place": {"type": "geo:json", "value": {"type": "Point", "coordinates": [-3.7, 40.4]}},
            "t": {
                "value": 3,
                "metadata": {
                    "unit": {"value": "celsius"},
                    "seen": {"type": "DateTime", "value": "2026-01-01T00:00:00.000Z"},
                },
            },
        },
    ),
    ("/madrid/north", {"id": "Plain", "type": "Room", "t": {"value": "the same id elsewhere"}}),
    (
        "/madrid/north",
        {"id": "Short", "dateExpires": {"type": "DateTime", "value": "2999-01-01T00:00:00.000Z"}},
    ),
]
SUBSCRIPTIONS: list[tuple[str | None, dict[str, Any]]] = [
    (None, {"description": "everywhere", "subject": ROOMS, "notification": {"http": {}}}),
    ("/madrid", {"status": "inactive", "subject": ROOMS, "notification": {"http": {}}}),
    (
        "/madrid/#",
        {
            "expires": "2999-01-01T00:00:00.000Z",
            "throttling": 5,
            "subject": {
                "entities": [{"id": "Rich", "typePattern": "^R"}, {"idPattern": "x$"}],
                "condition": {
                    "attrs": ["t", "u"],
                    "expression": {
                        "q": "t>40",
                        "mq": "t.unit==celsius",
                        "georel": "near;maxDistance:1000",
                        "geometry": "point",
                        "coords": "40.4,-3.7",
                    },
                    "alterationTypes": ["entityCreate", "entityDelete"],
                    "notifyOnMetadataChange": False,
                },
            },
            "notification": {
                "http": {"timeout": 2000},
                "attrs": ["t", "u"],
                "covered": True,
                "onlyChangedAttrs": True,
                "attrsFormat": "simplifiedKeyValues",
                "metadata": ["unit", "dateCreated"],
                "maxFailsLimit": 3,
            },
        },
    ),
    (
        "/madrid/north",
        {
            "status": "oneshot",
            "subject": {**ROOMS, "condition": {"jexlExpression": "t > 40"}},
            "notification": {
                "exceptAttrs": ["t"],
                "httpCustom": {
                    "method": "PUT",
                    "qs": {"a.b": "${id}"},
                    "headers": {"X-Type": "${type}"},
                    "json": {"a.b": "${t}", "c": [1, None]},
                },
            },
        },
    ),
    (
        "/",
        {
            "expires": "2020-01-01T00:00:00.000Z",
            "subject": ROOMS,
            "notification": {
                "httpCustom": {
                    "ngsi": {"id": "${id}2", "u.v": {"type": "Number", "value": "${t|length}"}}
                }
            },
        },
    ),
    ("/", {"subject": ROOMS, "notification": {"httpCustom": {"payload": None}}}),
    (
        "/",
        {
            "subject": {"entities": [{"id": "Quiet"}]},
            "notification": {
                "mqttCustom": {
                    "url": "mqtt://localhost:1883",
                    "topic": "a/${id}",
                    "qos": 1,
                    "retain": True,
                    "payload": "it is ${t}",
                }
            },
        },
    ),
]
REGISTRATIONS: list[tuple[str | None, dict[str, Any]]] = [
    (
        None,
        {
            "description": "weather",
            "dataProvided": {"entities": [{"id": "W", "type": "Weather"}], "attrs": ["t"]},
            "provider": {"http": {"url": "http://127.0.0.1:1/v2"}},
        },
    ),
    (
        "/madrid/north",
        {
            "expires": "2999-01-01T00:00:00.000Z",
            "status": "inactive",
            "dataProvided": {"entities": [{"idPattern": ".*", "type": "Weather"}]},
            "provider": {
                "http": {"url": "http://127.0.0.1:1/v1"},
                "legacyForwarding": True,
                "supportedForwardingMode": "query",
            },
        },
    ),
]


def fill(api: Api, receiver_url: str) -> None:
    """Give the tenant some of everything; one subscription has counters."""
    for path, document in SUBSCRIPTIONS:
        document = json.loads(json.dumps(document))
        for kind in ("http", "httpCustom"):
            if kind in document["notification"]:
                document["notification"][kind]["url"] = receiver_url
        api.subscribe(document, service_path=path)
    for path, document in ENTITIES:
        api.create(document, service_path=path)
    for path, document in REGISTRATIONS:
        reply = api.post("/v2/registrations", document, service_path=path)
        assert reply.status == 201, reply


def show(api: Api) -> dict[str, Any]:
    """All that the API shows of a tenant, with the service paths of everything."""
    shown: dict[str, Any] = {
        "entities": api.get(
            "/v2/entities", service_path="/#", options="skipForwarding", limit=1000, **BUILTINS
        ).json
    }
    for resource in ("subscriptions", "registrations"):
        documents = api.get(f"/v2/{resource}", limit=1000).json
        shown[resource] = [
            (document, path)
            for document in documents
            for path in ("/", "/#", "/madrid", "/madrid/#", "/madrid/north")
            if api.get(f"/v2/{resource}/{document['id']}", service_path=path).status == 200
        ]
        assert len(shown[resource]) == len(documents)
    return shown


def requested(documents: list[tuple[dict[str, Any], str]]) -> list[str]:
    """What clients had asked for: without ids and what the broker counts."""
    counted = ("id", "timesSent", "last", "fails")

    def strip(document: dict[str, Any]) -> dict[str, Any]:
        return {name: item for name, item in document.items() if not name.startswith(counted)}

    return sorted(
        json.dumps(
            [
                path,
                strip({**document, "notification": None}),
                strip(document.get("notification", {})),
            ],
            sort_keys=True,
        )
        for document, path in documents
    )


def run(*arguments: object) -> int:
    return rigel.main(["import", *map(str, arguments)])


def test_a_service_into_a_directory_is_what_it_was(
    api: Api,
    receiver: Receiver,
    tmp_path: Path,
    start_broker: StartBroker,
    connect: Connect,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fill(api, receiver.url)
    receiver.next()  # a counter stands
    with api.on(api.broker) as other:
        other.tenant = f"{api.tenant}b"
        other.create({"id": "Other", "t": {"value": 1}})
    directory = tmp_path / "new"
    services = ("--service", api.tenant, "--service", f"{api.tenant}b")
    source = ("--from-url", api.broker.url, *services, "--page-size", 2)
    assert run(*source, "--data-dir", directory) == 0
    report = capsys.readouterr().out
    assert [line.split() for line in report.splitlines()[1:4]] == [
        ["entities", "5", "5", "0", "0"],
        ["subscriptions", "7", "7", "0", "0"],
        ["registrations", "2", "2", "0", "0"],
    ]
    receiver.take_until_fence(api)
    expected = show(api)
    target = start_broker("-multiservice", directory=directory)
    found = show(connect(target, api.tenant))
    assert found["entities"] == expected["entities"]
    assert found["registrations"] == expected["registrations"]
    assert [item["id"] for item, _ in found["subscriptions"]] == [
        item["id"] for item, _ in expected["subscriptions"]
    ]
    assert requested(found["subscriptions"]) == requested(expected["subscriptions"])
    assert any("lastNotification" in item["notification"] for item, _ in found["subscriptions"])
    assert [item["id"] for item in connect(target, f"{api.tenant}b").get("/v2/entities").json] == [
        "Other"
    ]
    assert sorted(path.name for path in directory.iterdir() if path.suffix == ".spool") == []


def test_counters_and_ids_are_kept_in_a_directory(
    api: Api, receiver: Receiver, tmp_path: Path, start_broker: StartBroker, connect: Connect
) -> None:
    identity = api.subscribe(
        {"subject": ROOMS, "notification": {"http": {"url": receiver.url}}}, service_path="/#"
    )
    api.create({"id": "R", "type": "Room", "t": {"value": 1}})
    receiver.next()
    # Counters are told once a delivery was answered, which is after it was received.
    expected = api.get(f"/v2/subscriptions/{identity}").json
    while "lastSuccessCode" not in expected["notification"]:
        expected = api.get(f"/v2/subscriptions/{identity}").json
    directory = tmp_path / "new"
    source = ("--from-url", api.broker.url, "--service", api.tenant)
    assert run(*source, "--data-dir", directory) == 0
    target = start_broker("-multiservice", directory=directory)
    assert connect(target, api.tenant).get(f"/v2/subscriptions/{identity}").json == expected


def test_a_service_into_a_running_broker(
    api: Api, receiver: Receiver, tmp_path: Path, start_broker: StartBroker, connect: Connect
) -> None:
    fill(api, receiver.url)
    receiver.take_until_fence(api)
    target = start_broker("-multiservice", "--notification-connections", "1")
    ids = tmp_path / "ids.jsonl"
    source = ("--from-url", api.broker.url, "--service", api.tenant)
    assert run(*source, "--to-url", target.url, "--ids", ids) == 0
    client = connect(target, api.tenant)
    # Nobody is notified of an import.
    assert receiver.take_until_fence(client) == []
    expected, found = show(api), show(client)
    plain = {"attrs": "*,dateExpires,servicePath", "service_path": "/#", "limit": 1000}
    kept = client.get("/v2/entities", options="skipForwarding", **plain).json
    assert kept == api.get("/v2/entities", options="skipForwarding", **plain).json
    assert requested(found["subscriptions"]) == requested(expected["subscriptions"])
    told = [json.loads(line) for line in ids.read_text().splitlines()]
    assert {(line["kind"], line["old"]) for line in told} == {
        (kind, item["id"])
        for kind in ("subscriptions", "registrations")
        for item, _ in expected[kind]
    }
    assert {line["new"] for line in told} == {
        item["id"] for kind in ("subscriptions", "registrations") for item, _ in found[kind]
    }


def test_a_target_without_services_is_told(
    api: Api, start_broker: StartBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    api.create({"id": "R", "t": {"value": 1}})
    target = start_broker()
    source = ("--from-url", api.broker.url, "--service", api.tenant)
    assert run(*source, "--to-url", target.url) == 1
    assert "-multiservice" in capsys.readouterr().err


def test_only_the_service_paths_that_are_named(
    api: Api, receiver: Receiver, tmp_path: Path, start_broker: StartBroker, connect: Connect
) -> None:
    fill(api, receiver.url)
    directory = tmp_path / "new"
    source = ("--from-url", api.broker.url, "--service", api.tenant)
    paths = ("--service-path", "/madrid", "--service-path", "/madrid/north/#")
    assert run(*source, *paths, "--data-dir", directory) == 0
    found = show(connect(start_broker("-multiservice", directory=directory), api.tenant))
    assert [item["servicePath"]["value"] for item in found["entities"]] == [
        "/madrid",
        "/madrid/north",
        "/madrid/north",
    ]
    assert sorted(path for _, path in found["subscriptions"]) == ["/madrid", "/madrid/north"]
    assert [path for _, path in found["registrations"]] == ["/madrid/north"]


def test_a_subscription_whose_path_cannot_be_told_is_named(
    api: Api, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    subscription = {"subject": ROOMS, "notification": {"http": {"url": "http://localhost:1"}}}
    identity = api.subscribe(subscription, service_path="/nobody/lives/here")
    source = ("--from-url", api.broker.url, "--service", api.tenant)
    directory = tmp_path / "new"
    assert run(*source, "--data-dir", directory) == 1
    answer = capsys.readouterr()
    assert identity in answer.out
    assert "--service-path" in answer.out
    assert "nothing was written" in answer.err
    assert not directory.exists()
    named = ("--service-path", "/#", "--service-path", "/nobody/lives/here")
    assert run(*source, *named, "--data-dir", directory) == 0


def test_a_hidden_password_is_no_password(
    api: Api,
    tmp_path: Path,
    start_broker: StartBroker,
    connect: Connect,
    capsys: pytest.CaptureFixture[str],
) -> None:
    receiver = {"url": "mqtt://localhost:1883", "topic": "t", "user": "u", "passwd": "secret"}
    api.subscribe({"subject": ROOMS, "notification": {"mqtt": receiver}})
    api.create({"id": "R", "t": {"value": 1}})
    source = ("--from-url", api.broker.url, "--service", api.tenant)
    assert run(*source, "--check") == 1
    assert "password" in capsys.readouterr().out
    directory = tmp_path / "new"
    assert run(*source, "--data-dir", directory, "--lenient") == 0
    client = connect(start_broker("-multiservice", directory=directory), api.tenant)
    assert client.get("/v2/subscriptions").json == []
    assert [item["id"] for item in client.get("/v2/entities").json] == ["R"]


def test_targets_that_hold_data_are_left_alone(
    api: Api, tmp_path: Path, start_broker: StartBroker, capsys: pytest.CaptureFixture[str]
) -> None:
    api.create({"id": "R", "t": {"value": 1}})
    source = ("--from-url", api.broker.url, "--service", api.tenant)
    directory = tmp_path / "new"
    assert run(*source, "--data-dir", directory) == 0
    files = {path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"}
    assert run(*source, "--data-dir", directory) == 1
    assert "holds data" in capsys.readouterr().err
    assert files == {
        path.name: path.read_bytes() for path in directory.iterdir() if path.name != "lock"
    }
    assert run(*source, "--to-url", api.broker.url) == 1
    assert "holds entities" in capsys.readouterr().err
    running = start_broker()
    assert run(*source, "--data-dir", running.directory) == 1
    assert "in use" in capsys.readouterr().err


def test_what_the_target_refuses_is_named(
    api: Api, start_broker: StartBroker, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    api.create({"id": "Good", "t": {"value": 1}}, {"id": "Large", "t": {"value": "x" * 20_000}})
    api.create({"id": "Last", "t": {"value": 1}})
    target = start_broker("-multiservice", "-inReqPayloadMaxSize", "10000")
    source = ("--from-url", api.broker.url, "--service", api.tenant)
    assert run(*source, "--to-url", target.url) == 1
    out = capsys.readouterr().out
    assert out.splitlines()[1].split() == ["entities", "3", "2", "1", "0"]
    assert "Large" in out
    found = connect(target, api.tenant).get("/v2/entities").json
    assert [item["id"] for item in found] == ["Good", "Last"]


@contextmanager
def scripted(answer: Callable[[str], tuple[int, dict[str, str], Any] | None]) -> Iterator[str]:
    """The URL of a source that answers as told; None ends the connection."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            told = answer(self.path)
            if told is None:
                self.close_connection = True
                return
            status, headers, document = told
            body = json.dumps(document).encode()
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *arguments: Any) -> None:
            """Keep standard error for the tests."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def orion(path: str, total: int, rows: int) -> tuple[int, dict[str, str], Any]:
    """An Orion that announces `total` entities, and gives `rows` on its first page."""
    if path == "/version":
        return 200, {}, {"orion": {"version": "3.0.0"}}
    if not path.startswith("/v2/entities"):
        return 200, {"Fiware-Total-Count": "0"}, []
    entities = [
        {"id": f"E{i}", "type": "T", "servicePath": {"type": "Text", "value": "/"}}
        for i in range(rows if "offset=0" in path else 0)
    ]
    return 200, {"Fiware-Total-Count": str(total)}, entities


def test_a_source_that_goes_away_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def answer(path: str) -> tuple[int, dict[str, str], Any] | None:
        return None if "offset=2" in path else orion(path, 4, 2)

    directory = tmp_path / "new"
    with scripted(answer) as url:
        assert run("--from-url", url, "--page-size", 2, "--data-dir", directory) == 1
    answered = capsys.readouterr()
    assert "does not answer" in answered.err
    assert answered.out.splitlines()[1].split() == ["entities", "2", "0", "0", "0"]
    assert not directory.exists()


def test_a_source_that_changes_meanwhile_is_not_taken_for_whole(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(lambda path: orion(path, 3, 2)) as url:
        assert run("--from-url", url, "--check") == 1
        assert "changed while it was read: 2 were read, there are 3" in capsys.readouterr().out
        assert run("--from-url", url, "--check", "--lenient") == 0


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((200, {}, {"name": "nginx"}), "is no Orion"),
        ((401, {}, {"error": "Unauthorized", "description": "no token"}), "no token"),
    ],
)
def test_what_is_no_orion_is_told(
    answer: tuple[int, dict[str, str], Any], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with scripted(lambda path: answer) as url:
        assert run("--from-url", url, "--check") == 1
    assert words in capsys.readouterr().err


def test_headers_and_the_path_of_a_proxy_go_with_every_request() -> None:
    asked: list[str] = []

    def answer(path: str) -> tuple[int, dict[str, str], Any]:
        asked.append(path)
        return orion(path.removeprefix("/context"), 0, 0)

    with scripted(answer) as url:
        assert run("--from-url", f"{url}/context/", "--check", "--from-header", "X-Auth: a:b") == 0
    assert all(urlsplit(path).path.startswith("/context/v") for path in asked)


@pytest.mark.parametrize(
    "arguments",
    [
        ("--from-url", "http://localhost:1"),
        ("--from-url", "ftp://localhost", "--check"),
        ("--from-url", "http://localhost:1", "--from-dump", "d", "--check"),
        ("--from-url", "http://localhost:1", "--check", "--service", "a b"),
        ("--from-url", "http://localhost:1", "--check", "--service-path", "madrid"),
        ("--from-url", "http://localhost:1", "--check", "--page-size", "0"),
        ("--from-url", "http://localhost:1", "--check", "--from-header", "token"),
        ("--from-url", "http://localhost:1", "--check", "--ids", "f"),
    ],
)
def test_a_command_line_that_means_nothing(arguments: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit) as ended:
        run(*arguments)
    assert ended.value.code == 2
