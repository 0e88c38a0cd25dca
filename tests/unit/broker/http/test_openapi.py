"""The document of /openapi.json against the code that it describes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from openapi_spec_validator import validate

from broker.http.cors import is_v1
from broker.http.openapi import make_document
from broker.http.openapi.components import (
    ONE_PATH_PATTERN,
    OPEN_PATH_PATTERN,
    RESPONSES,
    SCOPE_PATTERN,
    TENANT_PATTERN,
)
from broker.http.openapi.operation import STATUS_OF
from broker.http.openapi.values import IDENTIFIER_PATTERN, UNFORBIDDEN_PATTERN
from broker.logs import LogLimits
from broker.server import Server
from broker.settings import Settings
from ngsi import errors
from ngsi.errors import BadRequest, NgsiError
from ngsi.service_path import parse_scope
from ngsi.syntax import has_forbidden, is_identifier

METHODS: Final = {"get", "post", "put", "patch", "delete", "options"}
FOGFLOWS_NAMES: Final = ("/v2/notify", "/v2/subscription/{id}")
# A trailing slash that may be there, as the router's patterns have it.
OPTIONAL_SLASH: Final = re.compile(r"(\{slash\}|/)$")

Operations = set[tuple[str, str]]


def described(document: dict[str, Any]) -> Operations:
    return {
        (path, method.upper())
        for path, item in document["paths"].items()
        for method in item
        if method in METHODS
    }


def routed(application: web.Application) -> Operations:
    """Paths and methods of the router, without what only refuses ("*") and without NGSIv1, whose
    answers say with HTTP 200 what went wrong: nothing that OpenAPI could tell a client. Without
    FogFlow's names for what has another, too."""
    found = set()
    for resource in application.router.resources():
        path = OPTIONAL_SLASH.sub("", resource.canonical)
        if is_v1(path) or path.startswith("/{") or path in FOGFLOWS_NAMES:
            continue
        found |= {(path, route.method) for route in resource if route.method != "*"}
    return found


@pytest.mark.parametrize("flags", [[], ["-corsOrigin", "__ALL"]])
async def test_it_has_the_routers_paths_and_methods(flags: list[str], tmp_path: Path) -> None:
    arguments = ["--data-dir", str(tmp_path), "--port", "0", "--local-ip", "127.0.0.1", *flags]
    server = Server(Settings.load(arguments, {}), "0", LogLimits(1000, 1000))
    await server.start()
    try:
        application = server._runner.app
        operations = described(make_document("0", has_preflight=bool(flags)))
        assert operations == routed(application)
        assert ("/v2/entities", "GET") in operations
        assert (("/v2/entities", "OPTIONS") in operations) == bool(flags)
    finally:
        await server.stop()


@pytest.mark.parametrize("has_preflight", [False, True])
def test_it_is_an_openapi_document(has_preflight: bool) -> None:
    validate(make_document("0", has_preflight))


def references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for member in node.values():
            yield from references(member)
    elif isinstance(node, list):
        for item in node:
            yield from references(item)


def test_every_component_is_used_and_every_reference_leads_somewhere() -> None:
    document = make_document("0", has_preflight=False)
    defined = {
        f"#/components/{kind}/{name}"
        for kind, components in document["components"].items()
        for name in components
    }
    # A 405 belongs to methods that a path does not have, so no operation refers to it.
    assert defined - set(references(document)) == {"#/components/responses/MethodNotAllowed"}
    assert set(references(document)) <= defined


def test_operations_have_names_of_their_own() -> None:
    paths = make_document("0", has_preflight=False)["paths"]
    names = [item[method]["operationId"] for item in paths.values() for method in item]
    assert len(set(names)) == len(names)


def error_kinds() -> set[type[NgsiError]]:
    return {
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, NgsiError) and kind is not NgsiError
    }


def test_every_error_is_described_under_its_status() -> None:
    described_errors = set()
    for name, response in RESPONSES.items():
        schema = response["content"]["application/json"]["schema"]
        for error in schema["allOf"][1]["properties"]["error"]["enum"]:
            described_errors.add((error, int(STATUS_OF[name])))
    # Part of an update that was forwarded is the one error with two codes.
    partial = {("PartialUpdate", 404)}
    assert described_errors == {(kind.error, kind.status) for kind in error_kinds()} | partial


def test_the_patterns_of_characters_are_those_of_the_checks() -> None:
    identifier = re.compile(IDENTIFIER_PATTERN[1:-1])
    unforbidden = re.compile(UNFORBIDDEN_PATTERN[1:-1])
    for code_point in (*range(0x3000), 0xFFFF, 0x1F600):
        character = chr(code_point)
        assert bool(identifier.fullmatch(character)) == is_identifier(character)
        assert bool(unforbidden.fullmatch(character)) != has_forbidden(character)


LEVELS: Final = st.sampled_from(["a", "B_9", "#", "", "x" * 50, "x" * 51, "-", "é"])
PATHS: Final = st.lists(LEVELS, max_size=12).map(lambda levels: "/" + "/".join(levels))
HEADERS: Final = st.lists(PATHS | st.sampled_from(["", "/", "//", "a", " "]), max_size=12).map(
    ",".join
)


def is_scope(header: str, method: str) -> bool:
    try:
        parse_scope(header, method)
    except BadRequest:
        return False
    return True


def is_for_update(header: str) -> bool:
    try:
        parse_scope(header, "PATCH").for_update()
    except BadRequest:
        return False
    return True


@given(header=HEADERS)
def test_the_pattern_of_a_scope_is_that_of_its_parser(header: str) -> None:
    assert bool(re.fullmatch(SCOPE_PATTERN[1:-1], header)) == is_scope(header, "GET")


@given(path=PATHS)
def test_the_patterns_of_a_service_path_are_those_of_its_parser(path: str) -> None:
    assert bool(re.fullmatch(OPEN_PATH_PATTERN[1:-1], path)) == is_scope(path, "GET")
    assert bool(re.fullmatch(ONE_PATH_PATTERN[1:-1], path)) == is_for_update(path)


@pytest.mark.parametrize(
    ("tenant", "is_good"), [("", True), ("aB_9", True), ("a" * 51, False), ("a-b", False)]
)
def test_the_pattern_of_a_tenant(tenant: str, is_good: bool) -> None:
    assert bool(re.fullmatch(TENANT_PATTERN[1:-1], tenant)) == is_good
