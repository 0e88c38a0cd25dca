"""A client that is made from /openapi.json, at a real broker.

Schemathesis makes requests of the document, good ones and bad ones, always the same, and judges
the answers by it. They go to a broker of this module: they change the log and the statistics of
the whole broker, and what they make up as receivers and context providers must never be asked.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Final

import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis.checks import not_a_server_error
from schemathesis.config import SchemathesisConfig
from schemathesis.specs.openapi import checks

from broker.http.openapi import make_document
from broker.launch import BrokerProcess
from rigel import __version__
from tests.integration.conftest import Api, StartBroker

# Every status with which a bad request may be refused.
REFUSALS: Final = [400, 404, 405, 406, 409, 411, 413, 415, 422]
DOCUMENT: Final[dict[str, Any]] = make_document(__version__, has_preflight=False)
SCHEMA: Final = schemathesis.openapi.from_dict(
    DOCUMENT,
    config=SchemathesisConfig.from_dict(
        {
            "generation": {
                "deterministic": True,
                "max-examples": 10,  # of each kind, beside those that cover bounds and patterns
                # Parameters that no operation has are not looked at, and so prove nothing.
                "allow-extra-parameters": False,
            },
            # As in Orion, a POST, PUT or PATCH without a body is 411 before it can be 405.
            "phases": {"coverage": {"unexpected-methods": ["get", "delete", "trace"]}},
            "checks": {
                "negative_data_rejection": {"expected-statuses": REFUSALS},
                "positive_data_acceptance": {"expected-statuses": ["2xx", 404, 409]},
            },
        }
    ),
)
CHECKS: Final = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
    checks.unsupported_method,
    checks.allow_header_conformance,
]
# Rules that JSON Schema cannot tell: a request that keeps to the schema may be refused.
NOT_ALL_IN_SCHEMA: Final = {
    "PUT /admin/log": "one parameter at least",
    "PUT /log/trace/{level}": "ranges whose end is not before their begin",
    "DELETE /log/trace/{level}": "ranges whose end is not before their begin",
    "GET /v2/entities": "the query languages, parameters that exclude each other",
    "POST /v2/op/query": "the query languages, parameters that exclude each other",
    "GET /v2/entities/{id}": "options that exclude each other",
    "GET /v2/entities/{id}/attrs": "options that exclude each other",
    "POST /v2/entities": "the representation depends on options",
    "POST /v2/entities/{id}/attrs": "the representation depends on options",
    "PATCH /v2/entities/{id}/attrs": "the representation depends on options",
    "PUT /v2/entities/{id}/attrs": "the representation depends on options",
    "POST /v2/op/update": "the representation depends on options",
    "PUT /v2/entities/{id}/attrs/{name}": "values of a type",
    "PUT /v2/entities/{id}/attrs/{name}/value": "forbidden characters anywhere in a value",
    "POST /v2/op/notify": "values of a type",
    "POST /v2/subscriptions": "the query languages, URLs",
    "PATCH /v2/subscriptions/{id}": "the query languages, URLs",
    "POST /v2/registrations": "instants, URLs",
    "PATCH /v2/registrations/{id}": "instants, URLs",
}
# Parameters that are refused together with another one.
EXCLUDED_BY: Final = {
    "idPattern": "id",
    "typePattern": "type",
    "offset": "cursor",
    "orderBy": "cursor",
}
EXAMPLE_IDS: Final = {
    DOCUMENT["components"]["parameters"][name]["example"]
    for name in ("entityId", "subscriptionId", "registrationId")
}
QUIET: Final = ("-simulatedNotification", "-cprForwardLimit", "0")


def example_body(path: str, method: str) -> Any:
    """The first example of a JSON body."""
    content = DOCUMENT["paths"][path][method]["requestBody"]["content"]["application/json"]
    return next(iter(content["examples"].values()))["value"]


def leave_out_excluded(query: dict[str, Any]) -> None:
    """Leave out parameters that another one excludes."""
    for name, other in EXCLUDED_BY.items():
        if name in query and other in query:
            del query[name]


class Population:
    """One of each kind of thing at the broker, there whenever a request is made."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._ids: dict[str, str] = {}

    def aim(self, case: schemathesis.Case[Any]) -> None:
        """Let the ids and names in a URL be those of what is there, but for every other one.

        The examples of the document always become these. Bad ones stay as they are.
        """
        path = case.operation.path
        if "{id}" not in path:
            return
        kind = path.split("/")[2]
        there = {"id": self._ensure(kind), "name": "temperature"}
        for name, value in case.path_parameters.items():
            is_good = isinstance(value, str) and value.isalnum()
            # A checksum, since what is made up has to be the same in each run.
            if is_good and (value in EXAMPLE_IDS or zlib.crc32(value.encode()) % 2 == 0):
                case.path_parameters[name] = there[name]

    def _ensure(self, kind: str) -> str:
        collection = f"/v2/{kind}"
        body = example_body(collection, "post")
        if kind == "entities":
            assert self._api.post(collection, body, options="upsert").status == 204
            return str(body["id"])
        found = self._api.get(f"{collection}/{self._ids.get(kind, 24 * '0')}")
        if found.status == 404:
            location = self._api.post(collection, body).headers["Location"]
            self._ids[kind] = location.removeprefix(f"{collection}/")
        return self._ids[kind]


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerProcess]:
    """A broker with one tenant that sends nothing to anybody."""
    directory = tmp_path_factory.mktemp("tried") / "data"
    arguments = [*QUIET, "--registration-patterns", "--durability", "none"]
    with BrokerProcess(directory, arguments) as process:
        yield process


@pytest.fixture(scope="module")
def population(tried: BrokerProcess) -> Iterator[Population]:
    with Api(tried, "") as api:
        yield Population(api)


@SCHEMA.parametrize()
@settings(derandomize=True, deadline=None, database=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_described(
    case: schemathesis.Case[Any], tried: BrokerProcess, population: Population
) -> None:
    judged = list(CHECKS)
    if case.operation.label not in NOT_ALL_IN_SCHEMA:
        judged.append(checks.positive_data_acceptance)
    if case.meta is None or case.meta.generation.mode.is_positive:
        leave_out_excluded(case.query)
    population.aim(case)
    case.call_and_validate(base_url=tried.url, checks=judged)


def test_examples_are_accepted(start_broker: StartBroker) -> None:
    """Each operation succeeds with its examples, in the order in which things live."""
    broker = start_broker("-multiservice", *QUIET, "--registration-patterns")
    operations = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item]
    life = ["post", "put", "patch", "get", "delete"]
    # What lies deeper is removed before what it lies in.
    operations.sort(key=lambda item: (life.index(item[1]), -len(item[0]) * (item[1] == "delete")))
    ids: dict[str, str] = {}
    for path, method in operations:
        operation = SCHEMA[path][method.upper()]
        for case in cases_of_examples(path, method, ids.get(path)):
            response = case.call_and_validate(base_url=broker.url, checks=CHECKS)
            assert response.status_code < 300, (operation.label, response.text)
            if response.status_code == 201:
                made = response.headers["location"][0].partition("?")[0]
                ids[f"{path}/{{id}}"] = made.rpartition("/")[2]


def cases_of_examples(
    path: str, method: str, made_id: str | None
) -> Iterator[schemathesis.Case[Any]]:
    """Requests of an operation with the examples of its parameters, one for each body."""
    description = DOCUMENT["paths"][path][method]
    placed: dict[str, dict[str, str]] = {"path": {}, "header": {}, "query": {}}
    for reference in description.get("parameters", ()):
        parameter = reference
        if "$ref" in reference:
            parameter = DOCUMENT["components"]["parameters"][reference["$ref"].rpartition("/")[2]]
        if "example" in parameter:
            placed[parameter["in"]][parameter["name"]] = parameter["example"]
    if made_id is not None:
        placed["path"]["id"] = made_id
    leave_out_excluded(placed["query"])
    parts: dict[str, Any] = {
        "path_parameters": placed["path"],
        "headers": placed["header"],
        "query": placed["query"],
    }
    operation = SCHEMA[path][method.upper()]
    contents = description.get("requestBody", {}).get("content", {})
    if not contents:
        yield operation.Case(**parts)
    for media_type, media in contents.items():
        examples = media.get("examples", {"": {"value": media.get("example")}})
        for example in examples.values():
            yield operation.Case(**parts, body=example["value"], media_type=media_type)


def test_the_document_is_served(api: Api) -> None:
    reply = api.get("/openapi.json")
    assert (reply.status, reply.json) == (200, DOCUMENT)


def test_headers_of_services_do_not_matter_to_it(api: Api) -> None:
    headers = {
        "Fiware-Service": "no tenant!",
        "Fiware-ServicePath": "nowhere",
        "Accept": "text/html",
    }
    assert api.get("/openapi.json", headers=headers).status == 200


def test_the_document_knows_preflights_where_there_are_any(start_broker: StartBroker) -> None:
    with Api(start_broker("-corsOrigin", "__ALL"), "") as api:
        assert api.get("/openapi.json").json == make_document(__version__, has_preflight=True)
