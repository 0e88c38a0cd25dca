"""The header Fiware-ServicePath (Orion API, "Service path")."""

from __future__ import annotations

import pytest

from ngsi.errors import BadRequest
from ngsi.service_path import covers, parse_scope


@pytest.mark.parametrize(
    ("header", "path", "inside"),
    [
        ("", "/anything", True),
        ("/a", "/a", True),
        ("/a", "/a/b", False),
        ("/a/#", "/a", True),
        ("/a/#", "/a/b/c", True),
        ("/a/#", "/ab", False),
        ("/#", "/x", True),
        ("/a/", "/a", True),
        ("/", "/", True),
        ("/", "/a", False),
        ("/a, /b/#", "/b/c", True),
    ],
)
def test_scope_covers(header: str, path: str, inside: bool) -> None:
    assert parse_scope(header).covers(path) is inside


def test_home_is_where_new_entities_go() -> None:
    assert parse_scope("").home == "/"
    assert parse_scope("/a/b").home == "/a/b"


def test_covers_takes_one_path() -> None:
    assert covers("/a/#", "/a/b")
    assert not covers("/a", "/a/b")


@pytest.mark.parametrize(
    ("header", "method", "text"),
    [
        ("a", "GET", "Only /absolute/ Service Paths allowed"),
        ("//a", "GET", "empty component in ServicePath"),
        ("/a//b", "GET", "empty component in ServicePath"),
        ("/a-b", "GET", "illegal character"),
        ("/ä", "GET", "illegal character"),
        ("/#/a", "GET", "illegal character"),
        ("/" + "x" * 51, "GET", "component-name too long"),
        ("/a" * 11, "GET", "too many components"),
        (",".join(["/a"] * 11), "GET", "too many service paths"),
        ("/a,/b", "PATCH", "more than one servicepath in patch"),
        ("/a,/b", "DELETE", "more than one servicepath is not allowed in DELETE"),
        ("/a/#", "PATCH", "wildcard # is not allowed in patch"),
        ("/a/#", "DELETE", "wildcard # is not allowed in DELETE"),
    ],
)
def test_bad_headers(header: str, method: str, text: str) -> None:
    with pytest.raises(BadRequest, match=text.replace("[", r"\[")):
        parse_scope(header, method)
