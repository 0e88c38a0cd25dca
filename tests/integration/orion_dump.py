"""Writes what mongodump writes of an Orion's databases, for the tests of `rigel import`."""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import bson
from bson import Int64, ObjectId

FOREVER = Int64(2**63 - 1)  # Orion's expiration of what is permanent


def write_collection(
    dump: Path,
    database: str,
    collection: str,
    documents: Iterable[Mapping[str, Any]],
    compressed: bool = False,
) -> Path:
    """The file of a collection; returns its path."""
    folder = dump / database
    folder.mkdir(parents=True, exist_ok=True)
    data = b"".join(bson.encode(document) for document in documents)
    path = folder / f"{collection}.bson{'.gz' if compressed else ''}"
    path.write_bytes(gzip.compress(data) if compressed else data)
    (folder / f"{collection}.metadata.json").write_text("{}")
    return path


def entity(entity_id: str, attributes: Mapping[str, Any], **fields: Any) -> dict[str, Any]:
    """A document of `entities`; the dates of its attributes are those of the entity."""
    path, type_ = fields.pop("path", "/"), fields.pop("type", "Room")
    dates = {"creDate": 1389376081.25, "modDate": 1389376244.5}
    return {
        "_id": {"id": entity_id, "type": type_, "servicePath": path},
        "attrs": {name: {**dates, "mdNames": [], **item} for name, item in attributes.items()},
        "attrNames": [name.replace("=", ".") for name in attributes],
        **dates,
        "lastCorrelator": "aa01d6c6-4f7e-11e7-8059-000c29173617",
        **fields,
    }


def subscription(number: int, **fields: Any) -> dict[str, Any]:
    """A document of `csubs` as Orion 4.7 stores it."""
    return {
        "_id": ObjectId(f"{0x5697D4D1:08x}{number:016x}"),
        "expiration": FOREVER,
        "reference": "http://localhost:1234",
        "custom": False,
        "timeout": Int64(0),
        "throttling": Int64(-1),
        "maxFailsLimit": Int64(-1),
        "servicePath": "/#",
        "status": "active",
        "statusLastChange": 1637226173.6940024,
        "entities": [
            {"id": ".*", "isPattern": True, "type": "Room", "isTypePattern": False},
        ],
        "attrs": [],
        "metadata": [],
        "blacklist": False,
        "onlyChanged": False,
        "covered": False,
        "notifyOnMetadataChange": True,
        "conditions": [],
        "expression": {"q": "", "mq": "", "geometry": "", "coords": "", "georel": ""},
        "jexlExpression": "",
        "altTypes": [],
        "format": "normalized",
        **fields,
    }


def registration(number: int, **fields: Any) -> dict[str, Any]:
    """A document of `registrations` as the manual shows one."""
    return {
        "_id": ObjectId(f"{0x5149F60C:08x}{number:016x}"),
        "servicePath": "/",
        "format": "normalized",
        "fwdMode": "all",
        "contextRegistration": [
            {
                "entities": [
                    {"id": "E1", "type": "T1", "isPattern": False},
                    {"id": "E2", "type": "T2", "isPattern": "false"},
                ],
                "attrs": [{"name": "A1", "type": "TA1"}, {"name": "A2", "type": ""}],
                "providingApplication": "http://foo.bar/notif",
            }
        ],
        **fields,
    }
