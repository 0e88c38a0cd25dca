"""`rigel import --from-dump`: what mongodump wrote of Orion's databases, as the API then shows it.

The documents are those of Orion's data model (its manual, "Data model") as Orion 4.7 stores them,
and as older versions did where it still reads those.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from bson import Decimal128, Int64, ObjectId

import rigel
from broker.launch import BrokerProcess
from tests.integration.conftest import Api
from tests.integration.orion_dump import entity, registration, subscription, write_collection

if TYPE_CHECKING:
    from tests.integration.conftest import Connect, StartBroker

BUILTINS = {"attrs": "*,dateCreated,dateModified,dateExpires,servicePath", "service_path": "/#"}
PLACE = {"type": "Point", "coordinates": [-3.691944, 40.418889]}


def run(*arguments: object) -> int:
    return rigel.main(["import", *map(str, arguments)])


@pytest.fixture
def dump(tmp_path: Path) -> Path:
    """The folder of a dump, with nothing in it."""
    folder = tmp_path / "dump"
    folder.mkdir()
    return folder


class Imported:
    """Imports a dump and opens clients of a broker on what came of it."""

    def __init__(self, tmp_path: Path, start_broker: StartBroker, connect: Connect) -> None:
        self._directory = tmp_path / "new"
        self._start_broker = start_broker
        self._connect = connect

    def __call__(self, dump: Path, *arguments: str, service: str = "") -> Api:
        assert run("--from-dump", dump, "--data-dir", self._directory, *arguments) == 0
        return self._connect(
            self._start_broker("-multiservice", directory=self._directory), service
        )


@pytest.fixture
def imported(tmp_path: Path, start_broker: StartBroker, connect: Connect) -> Imported:
    """Imports into a directory of its own."""
    return Imported(tmp_path, start_broker, connect)


def test_an_entity_with_all_that_orion_stores(dump: Path, imported: Imported) -> None:
    document = entity(
        "E1",
        {
            "A1": {
                "type": "TA1",
                "value": "282",
                "modDate": 1389376120.125,
                "md": {
                    "custom=MD1": {"type": "string", "value": "AKAKA"},
                    "seen": {"type": "DateTime", "value": 1389376120.5},
                },
                "mdNames": ["custom.MD1", "seen"],
            },
            "a=b": {"type": "Number", "value": 17.0},
            "when": {"type": "DateTime", "value": 1389376120.5},
            "open": {"type": "Boolean", "value": False},
            "none": {"type": "None", "value": None},
            "deep": {"type": "StructuredValue", "value": {"x=y": [1.5, {">each": "z"}]}},
            "untyped": {"value": Int64(2**53 + 1)},
            "position": {"type": "geo:point", "value": "40.418889, -3.691944"},
            "dateExpires": {"type": "DateTime", "value": 32472144000.0},
        },
        path="/madrid",
        type="T1",
        location={"attrName": "position", "coords": PLACE},
        expDate=datetime(2999, 1, 1, tzinfo=UTC),
    )
    write_collection(dump, "orion-smart", "entities", [document])
    api = imported(dump, service="smart")
    (found,) = api.get("/v2/entities", metadata="*,dateModified,dateCreated", **BUILTINS).json
    created = {"type": "DateTime", "value": "2014-01-10T17:48:01.250Z"}
    modified = {"type": "DateTime", "value": "2014-01-10T17:50:44.500Z"}
    dates = {"dateCreated": created, "dateModified": modified}
    assert found == {
        "id": "E1",
        "type": "T1",
        "A1": {
            "type": "TA1",
            "value": "282",
            "metadata": {
                "custom.MD1": {"type": "string", "value": "AKAKA"},
                "seen": {"type": "DateTime", "value": "2014-01-10T17:48:40.500Z"},
                "dateCreated": created,
                "dateModified": {"type": "DateTime", "value": "2014-01-10T17:48:40.125Z"},
            },
        },
        "a.b": {"type": "Number", "value": 17, "metadata": dates},
        "when": {"type": "DateTime", "value": "2014-01-10T17:48:40.500Z", "metadata": dates},
        "open": {"type": "Boolean", "value": False, "metadata": dates},
        "none": {"type": "None", "value": None, "metadata": dates},
        "deep": {
            "type": "StructuredValue",
            "value": {"x.y": [1.5, {"$each": "z"}]},
            "metadata": dates,
        },
        "untyped": {"type": "Number", "value": 2**53 + 1, "metadata": dates},
        "position": {"type": "geo:point", "value": "40.418889, -3.691944", "metadata": dates},
        "dateExpires": {"type": "DateTime", "value": "2999-01-01T00:00:00.000Z", "metadata": dates},
        "dateCreated": {**created, "metadata": {}},
        "dateModified": {**modified, "metadata": {}},
        "servicePath": {"type": "Text", "value": "/madrid", "metadata": {}},
    }
    near = {"georel": "near;maxDistance:10", "geometry": "point", "coords": "40.418889,-3.691944"}
    assert [item["id"] for item in api.get("/v2/entities", **near).json] == ["E1"]
    assert api.get("/v2/entities", q="a.b==17", service_path="/").json == []


def test_entities_come_in_the_order_of_their_creation_per_service(
    dump: Path, imported: Imported
) -> None:
    write_collection(
        dump,
        "orion",
        "entities",
        [entity(name, {}, creDate=1389376081.0 + age) for name, age in (("b", 2), ("a", 3))],
    )
    write_collection(
        dump,
        "orion-x",
        "entities",
        [entity(name, {}, creDate=float(age)) for name, age in (("A", 30), ("C", 10), ("B", 20))],
        compressed=True,
    )
    write_collection(dump, "orionx", "entities", [entity("foreign", {})])
    write_collection(dump, "admin", "entities", [{"_id": "foreign"}])
    api = imported(dump)
    assert [item["id"] for item in api.get("/v2/entities").json] == ["b", "a"]
    found = api.get("/v2/entities", headers={"Fiware-Service": "x"}).json
    assert [item["id"] for item in found] == ["C", "B", "A"]
    api.create({"id": "new"})
    assert [item["id"] for item in api.get("/v2/entities").json] == ["b", "a", "new"]


def test_entities_of_one_id_in_several_paths_and_of_an_old_orion(
    dump: Path, imported: Imported, capsys: pytest.CaptureFixture[str]
) -> None:
    old = {
        "_id": {"id": "Old"},
        "attrs": {"position": {"type": "coords", "value": "40.418889, -3.691944"}},
        "location": {"attrName": "position", "coords": PLACE},
    }
    rooms = [entity("Room", {}, path=path) for path in ("/", "/a", "/a/b")]
    write_collection(dump, "orion", "entities", [*rooms, old])
    api = imported(dump)
    assert "position" in capsys.readouterr().out.partition("to note: 1\n")[2]
    found = api.get("/v2/entities", **BUILTINS).json
    assert [(item["id"], item["type"], item["servicePath"]["value"]) for item in found] == [
        ("Room", "Room", "/"),
        ("Room", "Room", "/a"),
        ("Room", "Room", "/a/b"),
        ("Old", "Thing", "/"),
    ]
    assert found[3]["position"]["value"] == "40.418889, -3.691944"


EXPECTED = {
    "status": "active",
    "subject": {
        "entities": [{"idPattern": ".*", "type": "Room"}],
        "condition": {"attrs": [], "notifyOnMetadataChange": True},
    },
    "notification": {
        "attrs": [],
        "onlyChangedAttrs": False,
        "attrsFormat": "normalized",
        "http": {"url": "http://localhost:1234"},
        "covered": False,
    },
}


def custom(receiver: dict[str, Any], kind: str = "httpCustom") -> dict[str, Any]:
    return {"http": None, kind: {"url": "http://localhost:1234", **receiver}}


Case = tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]
# What Orion stores, and what of it the API shows: at the top, in condition, in notification. None:
# what is not shown.
CASES: list[Case] = [
    ({}, {}, {}, {}),
    (
        {
            "expiration": Int64(32472144000),
            "throttling": Int64(5),
            "description": "of a room",
            "status": "inactive",
        },
        {
            "expires": "2999-01-01T00:00:00.000Z",
            "throttling": 5,
            "description": "of a room",
            "status": "inactive",
        },
        {},
        {},
    ),
    (
        {"expiration": Int64(1459864800)},
        {"expires": "2016-04-05T14:00:00.000Z", "status": "expired"},
        {},
        {},
    ),
    ({"status": "oneshot"}, {"status": "oneshot"}, {}, {}),
    (
        {
            "conditions": ["t.x"],
            "expression": {
                "q": "t>40",
                "mq": "t.accuracy<1",
                "georel": "near;maxDistance:10",
                "geometry": "point",
                "coords": "40,-3",
            },
            "jexlExpression": "t > 40",
            "altTypes": ["entityCreate", "entityDelete"],
            "notifyOnMetadataChange": False,
        },
        {},
        {
            "attrs": ["t.x"],
            "expression": {
                "q": "t>40",
                "mq": "t.accuracy<1",
                "georel": "near;maxDistance:10",
                "geometry": "point",
                "coords": "40,-3",
            },
            "jexlExpression": "t > 40",
            "alterationTypes": ["entityCreate", "entityDelete"],
            "notifyOnMetadataChange": False,
        },
        {},
    ),
    (
        {
            "attrs": ["t", "u"],
            "metadata": ["unit"],
            "covered": True,
            "onlyChanged": True,
            "format": "keyValues",
            "timeout": Int64(2000),
            "maxFailsLimit": Int64(3),
        },
        {},
        {},
        {
            "attrs": ["t", "u"],
            "metadata": ["unit"],
            "covered": True,
            "onlyChangedAttrs": True,
            "attrsFormat": "keyValues",
            "http": {"url": "http://localhost:1234", "timeout": 2000},
            "maxFailsLimit": 3,
        },
    ),
    (
        {"attrs": ["t"], "blacklist": True, "format": "JSON"},
        {},
        {},
        {"attrs": None, "exceptAttrs": ["t"]},
    ),
    (
        {
            "count": Int64(7),
            "failsCounter": Int64(2),
            "lastNotification": Int64(1389376081),
            "lastSuccess": Int64(1389376080),
            "lastSuccessCode": Int64(204),
            "lastFailure": Int64(1389376081),
            "lastFailureReason": "Timeout was reached",
        },
        {},
        {},
        {
            "timesSent": 7,
            "failsCounter": 2,
            "lastNotification": "2014-01-10T17:48:01.000Z",
            "lastSuccess": "2014-01-10T17:48:00.000Z",
            "lastSuccessCode": 204,
            "lastFailure": "2014-01-10T17:48:01.000Z",
            "lastFailureReason": "Timeout was reached",
        },
    ),
    (
        {
            "custom": True,
            "method": "PUT",
            "qs": {"a.b": "${id}"},
            "headers": {"X-Type": "${type}"},
            "payload": "it is ${t}",
        },
        {},
        {},
        custom(
            {
                "method": "PUT",
                "qs": {"a.b": "${id}"},
                "headers": {"X-Type": "${type}"},
                "payload": "it is ${t}",
            }
        ),
    ),
    ({"custom": True, "payload": None}, {}, {}, custom({"payload": None})),
    (
        {"custom": True, "json": {"a=b": ["${t}", None]}},
        {},
        {},
        custom({"json": {"a.b": ["${t}", None]}}),
    ),
    (
        {
            "custom": True,
            "ngsi": {
                "id": "${id}2",
                "attrs": {"u=v": {"type": "Number", "value": "${t}", "mdNames": []}},
            },
        },
        {},
        {},
        custom({"ngsi": {"id": "${id}2", "u.v": {"type": "Number", "value": "${t}"}}}),
    ),
    (
        {
            "reference": "mqtt://localhost:1883",
            "topic": "a/b",
            "qos": 1,
            "retain": True,
            "user": "u",
            "passwd": "secret",
        },
        {},
        {},
        {
            "http": None,
            "mqtt": {
                "url": "mqtt://localhost:1883",
                "topic": "a/b",
                "qos": 1,
                "retain": True,
                "user": "u",
                "passwd": "*****",
            },
        },
    ),
]


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What a broker shows of the subscriptions of CASES, all imported at once."""
    dump = tmp_path_factory.mktemp("dump")
    directory = tmp_path_factory.mktemp("imported") / "data"
    documents = [
        subscription(number, servicePath="/a/#", **stored)
        for number, (stored, *_) in enumerate(CASES)
    ]
    write_collection(dump, "orion", "csubs", documents)
    assert run("--from-dump", dump, "--data-dir", directory) == 0
    with BrokerProcess(directory) as broker, Api(broker, "") as api:
        found: list[dict[str, Any]] = api.get("/v2/subscriptions", service_path="/a/#").json
        return found


@pytest.mark.parametrize("number", range(len(CASES)))
def test_a_subscription_is_what_orion_showed(number: int, shown: list[dict[str, Any]]) -> None:
    _, top, condition, notification = CASES[number]
    expected: Any = json.loads(json.dumps(EXPECTED))
    expected["id"] = str(subscription(number)["_id"])
    expected |= top
    expected["subject"]["condition"] |= condition
    expected["notification"] |= notification
    for part in (expected, expected["notification"]):
        for name in [name for name, value in part.items() if value is None]:
            del part[name]
    assert shown[number] == expected


def test_selectors_of_subscriptions_of_all_ages(dump: Path, imported: Imported) -> None:
    entities = [
        {"id": "E1", "isPattern": "false"},
        {"id": "^E", "type": "^T", "isPattern": "true", "isTypePattern": True},
        {"id": "E2", "type": "T", "isPattern": False, "isTypePattern": False},
    ]
    write_collection(dump, "orion", "csubs", [subscription(1, entities=entities)])
    (found,) = imported(dump).get("/v2/subscriptions").json
    assert found["subject"]["entities"] == [
        {"id": "E1"},
        {"idPattern": "^E", "typePattern": "^T"},
        {"id": "E2", "type": "T"},
    ]


def test_registrations(dump: Path, imported: Imported) -> None:
    pattern = {
        "entities": [{"id": ".*", "type": "T", "isPattern": True}],
        "attrs": [],
        "providingApplication": "http://foo.bar/v1",
    }
    old = {
        "_id": ObjectId("5149f60cf0075f2fabca43da"),
        "expiration": 1360232760,
        "contextRegistration": [pattern],
    }
    documents = [
        registration(
            1,
            servicePath="/a",
            fwdMode="query",
            status="inactive",
            description="two",
            expiration=Int64(32472144000),
        ),
        old,
    ]
    write_collection(dump, "orion", "registrations", documents)
    api = imported(dump)
    assert api.get("/v2/registrations").json == [
        {
            "id": "5149f60c0000000000000001",
            "description": "two",
            "expires": "2999-01-01T00:00:00.000Z",
            "dataProvided": {
                "entities": [{"id": "E1", "type": "T1"}, {"id": "E2", "type": "T2"}],
                "attrs": ["A1", "A2"],
            },
            "provider": {
                "http": {"url": "http://foo.bar/notif"},
                "supportedForwardingMode": "query",
                "legacyForwarding": False,
            },
            "status": "inactive",
        },
        {
            "id": "5149f60cf0075f2fabca43da",
            "expires": "2013-02-07T10:26:00.000Z",
            "dataProvided": {"entities": [{"idPattern": ".*", "type": "T"}], "attrs": []},
            "provider": {
                "http": {"url": "http://foo.bar/v1"},
                "supportedForwardingMode": "all",
                "legacyForwarding": True,
            },
            "status": "active",
        },
    ]
    found = api.get("/v2/registrations", service_path="/a").json
    assert [item["id"] for item in found] == ["5149f60c0000000000000001"]


def test_services_paths_and_another_prefix(dump: Path, imported: Imported) -> None:
    for service in ("a", "b"):
        documents = [entity("E", {}, path=path) for path in ("/x", "/x/y", "/z")]
        write_collection(dump, f"broker-{service}", "entities", documents)
        subscriptions = [
            subscription(i, servicePath=path) for i, path in enumerate(("/#", "/x", "/x/#", "/z"))
        ]
        write_collection(dump, f"broker-{service}", "csubs", subscriptions)
    arguments = ("--db-prefix", "broker", "--service", "b", "--service-path", "/x/#")
    api = imported(dump, *arguments, service="b")
    found = api.get("/v2/entities", **BUILTINS).json
    assert [item["servicePath"]["value"] for item in found] == ["/x", "/x/y"]
    assert len(api.get("/v2/subscriptions").json) == 2
    assert api.get("/v2/entities", headers={"Fiware-Service": "a"}).json == []


def test_a_dump_into_a_running_broker(
    dump: Path, start_broker: StartBroker, connect: Connect, capsys: pytest.CaptureFixture[str]
) -> None:
    attributes = {"t": {"type": "Number", "value": 1.0}}
    operator = {"t": {"type": "StructuredValue", "value": {">inc": 1}}}
    documents = [
        entity("Late", attributes, creDate=2.0, path="/a"),
        entity("Early", attributes, creDate=1.0, path="/a"),
        entity("Operator", operator, creDate=3.0, path="/a"),
    ]
    write_collection(dump, "orion-s", "entities", documents)
    write_collection(dump, "orion-s", "csubs", [subscription(1, servicePath="/a")])
    target = start_broker("-multiservice")
    # The API would take the value for an update operator, a data directory would not.
    assert run("--from-dump", dump, "--to-url", target.url) == 1
    assert "Operator" in capsys.readouterr().out
    api = connect(target, "s")
    found = api.get("/v2/entities", service_path="/a").json
    assert [item["id"] for item in found] == ["Early", "Late"]
    assert len(api.get("/v2/subscriptions", service_path="/a").json) == 1


@pytest.mark.parametrize(
    ("collection", "document", "words"),
    [
        ("entities", entity("E", {"a b": {"value": 1}}), "Invalid characters in attribute name"),
        ("entities", entity("E", {"a": {"value": Decimal128("1")}}), "Decimal128"),
        ("entities", entity("E", {"a": {"value": float("nan")}}), "no form in JSON"),
        ("entities", entity("E", {"a": {"type": "DateTime", "value": "soon"}}), "date"),
        ("entities", entity("E", {"a": {"type": 7, "value": 1}}), "field type"),
        ("entities", entity("E", {}, path="/a//b"), "ServicePath"),
        ("entities", entity("E", {"p": {"type": "geo:point", "value": "x"}}), "location"),
        ("entities", {"_id": "E"}, "_id"),
        ("csubs", subscription(1, expression={"q": "t===1"}), "String Filter"),
        ("csubs", subscription(1, altTypes=["entityVanish"]), "entityVanish"),
        ("csubs", subscription(1, kafkaTopic="t", reference="kafka://k"), "kafka"),
        ("csubs", subscription(1, entities=[{"id": "(", "isPattern": True}]), "regex"),
        ("csubs", subscription(1, reference=None), "reference"),
        ("csubs", subscription(1, throttling=float("inf")), "throttling"),
        ("csubs", {**subscription(1), "_id": "short"}, "ID"),
        ("registrations", registration(1, fwdMode="some"), "supportedForwardingMode"),
        ("registrations", registration(1, contextRegistration=[]), "contextRegistration"),
    ],
)
def test_what_cannot_be_taken_over_is_named_and_the_rest_is_for_the_operator_to_say(
    collection: str,
    document: dict[str, Any],
    words: str,
    dump: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_collection(dump, "orion", collection, [document])
    write_collection(dump, "orion-good", "entities", [entity("Good", {})])
    assert run("--from-dump", dump, "--data-dir", tmp_path / "new") == 1
    answer = capsys.readouterr()
    refusal = answer.out.partition("refused: 1\n")[2]
    assert words in refusal
    assert "of no service" in refusal
    assert not (tmp_path / "new").exists()
    assert run("--from-dump", dump, "--data-dir", tmp_path / "new", "--lenient") == 0
    assert capsys.readouterr().out.splitlines()[1].split()[2] == "1"
    assert run("--from-dump", dump, "--data-dir", tmp_path / "new", "--lenient") == 1


def test_refusals_are_named_up_to_a_bound(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = [entity(f"E{i}", {"a b": {"value": 1}}) for i in range(250)]
    write_collection(dump, "orion", "entities", bad)
    assert run("--from-dump", dump, "--check") == 1
    out = capsys.readouterr().out
    assert out.count("attribute name") == 100
    assert "and 150 more" in out


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("cut", [1, 7, 300])
def test_a_truncated_file_stops_the_import(
    compressed: bool, cut: int, dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    values = {"a": {"value": "".join(chr(33 + (i * i) % 90) for i in range(999))}}
    documents = [entity(f"E{i}", values) for i in range(3)]
    path = write_collection(dump, "orion", "entities", documents, compressed)
    path.write_bytes(path.read_bytes()[:-cut])
    assert run("--from-dump", dump, "--lenient", "--data-dir", tmp_path / "new") == 1
    assert str(path) in capsys.readouterr().err
    assert not (tmp_path / "new").exists()


def test_damage_within_a_file(dump: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write_collection(dump, "orion", "entities", [entity("E", {"a": {"value": "x"}})] * 2)
    data = bytearray(path.read_bytes())
    data[4] = 0x7F  # the type of the first field
    path.write_bytes(data)
    assert run("--from-dump", dump, "--check") == 1
    out = capsys.readouterr().out
    assert "document 1 of entities.bson: no valid BSON" in out
    assert out.splitlines()[1].split() == ["entities", "2", "0", "1", "0"]
    data[:4] = (2**31 - 1).to_bytes(4, "little")
    path.write_bytes(data)
    assert run("--from-dump", dump, "--check") == 1
    assert "damaged at byte 0" in capsys.readouterr().err


def test_what_is_no_dump(dump: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--from-dump", tmp_path / "nothing", "--check") == 1
    assert "nothing" in capsys.readouterr().err
    assert run("--from-dump", dump, "--check") == 1
    assert "orion-*" in capsys.readouterr().err
    write_collection(dump, "orion", "entities", [])
    assert run("--from-dump", dump, "--check") == 0
    assert run("--from-dump", dump, "--check", "--service", "other") == 1
    assert "'other'" in capsys.readouterr().err
