"""Values of type DateTime (or ISO8601): which texts are dates, and how they are shown.

Source: Orion API, section "Datetime support"; Orion's cases for issues 1039, 2631, 2632, 2654,
2670 and 3533. How dates are compared: test_queries.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.integration.conftest import Api

WRONG_DATE = (400, "BadRequest", "date has invalid format in attribute value")


class TestDates:
    @pytest.mark.parametrize("type_name", ["DateTime", "ISO8601"])
    @pytest.mark.parametrize(
        ("sent", "shown"),
        [
            ("2017-06-17T07:21:24.238Z", "2017-06-17T07:21:24.238Z"),
            ("2017-06-17T07:21:24.23Z", "2017-06-17T07:21:24.230Z"),
            ("2017-06-17T07:21:24Z", "2017-06-17T07:21:24.000Z"),
            ("2017-06-17T07:21:24", "2017-06-17T07:21:24.000Z"),
            ("2017-06-17T07:21", "2017-06-17T07:21:00.000Z"),
            ("2017-06-17T07", "2017-06-17T07:00:00.000Z"),
            ("2017-06-17", "2017-06-17T00:00:00.000Z"),
            ("2017-06-17T072124.238Z", "2017-06-17T07:21:24.238Z"),
            ("2017-06-17T072124", "2017-06-17T07:21:24.000Z"),
            ("2017-06-17T0721Z", "2017-06-17T07:21:00.000Z"),
            ("2017-06-17T07:21:24+02:00", "2017-06-17T05:21:24.000Z"),
            ("2017-06-17T07:21:24-0130", "2017-06-17T08:51:24.000Z"),
            ("2017-06-17T07:21:24+02", "2017-06-17T05:21:24.000Z"),
            ("2017-06-17T23:30:00-01:00", "2017-06-18T00:30:00.000Z"),
            ("2020-02-29", "2020-02-29T00:00:00.000Z"),
            ("1950-01-01", "1950-01-01T00:00:00.000Z"),
        ],
    )
    def test_shown_in_one_form(self, api: Api, type_name: str, sent: str, shown: str) -> None:
        api.create(
            {
                "id": "E",
                "A": {
                    "type": type_name,
                    "value": sent,
                    "metadata": {"m": {"type": type_name, "value": sent}},
                },
            }
        )
        assert api.get("/v2/entities/E/attrs/A").json == {
            "type": type_name,
            "value": shown,
            "metadata": {"m": {"type": type_name, "value": shown}},
        }

    @pytest.mark.parametrize(
        "value",
        [
            "foo",
            "",
            "2017-06-17Z",
            "2017-06-17+02:00",
            "2017-06-17T25:00:00Z",
            "2017-06-17T07:61:00Z",
            "2017-13-01",
            "2017-02-30",
            "17-06-2017",
            "2017-6-17",
            "20170617",
            "2017-06-17 07:21:24",
            "2017-06-17T07:21:24 Z",
            "2017-06-17T07:21:24Zx",
            5,
            True,
            [],
            {},
            {"$inc": "2017-06-17"},
        ],
    )
    def test_no_dates(self, api: Api, value: Any) -> None:
        attribute = {"type": "DateTime", "value": value}
        assert api.post("/v2/entities", {"id": "E", "A": attribute}).refusal == WRONG_DATE
        metadata = {"m": {"type": "DateTime", "value": value}}
        reply = api.post("/v2/entities", {"id": "E", "A": {"value": 1, "metadata": metadata}})
        assert reply.refusal == (400, "BadRequest", "date has invalid format in metadata value")
        assert api.get("/v2/entities").json == []

    def test_null_date(self, api: Api) -> None:
        attribute = {
            "type": "DateTime",
            "value": None,
            "metadata": {"m": {"type": "DateTime", "value": None}},
        }
        api.create({"id": "E", "A": attribute})
        assert api.get("/v2/entities/E/attrs/A").json == attribute

    def test_without_the_type_a_date_is_text(self, api: Api) -> None:
        api.create({"id": "E", "A": {"value": "2017-06-17"}})
        assert api.get("/v2/entities/E/attrs/A").json["type"] == "Text"
        assert api.get("/v2/entities/E/attrs/A").json["value"] == "2017-06-17"
