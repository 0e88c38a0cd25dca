"""Which service paths a selection asks for."""

from __future__ import annotations

import pytest

from importer.intake import parse_selection


@pytest.mark.parametrize(
    ("asked", "path", "is_covered"),
    [
        ((), "/", True),
        ((), "/#", True),
        ((), "/a/#", True),
        (("/",), "/", True),
        (("/",), "/a", False),
        (("/",), "/#", False),
        (("/a",), "/a", True),
        (("/a",), "/a/#", False),
        (("/a",), "/a/b", False),
        (("/a/#",), "/a", True),
        (("/a/#",), "/a/b", True),
        (("/a/#",), "/a/#", True),
        (("/a/#",), "/a/b/#", True),
        (("/a/#",), "/ab", False),
        (("/a/#",), "/#", False),
        (("/x", "/a/#"), "/a/b", True),
    ],
)
def test_a_selection_covers(asked: tuple[str, ...], path: str, is_covered: bool) -> None:
    assert parse_selection((), asked).covers(path) is is_covered
