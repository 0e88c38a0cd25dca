"""Flags that change what a broker does as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.integration.subscriptions import document

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver, StartBroker


def test_process_id_is_kept_while_it_runs(start_broker: StartBroker, tmp_path: Path) -> None:
    kept = tmp_path / "broker.pid"
    kept.write_text("stale\n")
    broker = start_broker("-pidpath", str(kept))
    assert kept.read_text() == f"{broker.pid}\n"
    assert broker.stop() == 0
    assert not kept.exists()


def test_process_id_that_cannot_be_kept(start_broker: StartBroker, tmp_path: Path) -> None:
    kept = tmp_path / "missing" / "broker.pid"
    with pytest.raises(RuntimeError, match=f"No such file or directory: '{kept}'") as failure:
        start_broker("-pidpath", str(kept))
    assert "Traceback" not in str(failure.value)


def test_simulated_notifications(api: Api, receiver: Receiver, start_broker: StartBroker) -> None:
    with api.on(start_broker("-simulatedNotification")) as client:
        subscription_id = client.subscribe(document(receiver.url))
        client.create({"id": "E", "type": "T", "A": {"value": 1}})
        notification = client.get(f"/v2/subscriptions/{subscription_id}").json["notification"]
        assert notification["timesSent"] == 1
        assert "lastFailure" not in notification
    assert receiver.take_until_fence(api) == []


def test_custom_notifications_switched_off(
    api: Api, receiver: Receiver, start_broker: StartBroker
) -> None:
    custom = {
        "url": receiver.url,
        "method": "PUT",
        "payload": "${A}",
        "headers": {"x-a": "${A}"},
        "qs": {"a": "${A}"},
    }
    subscription = document(receiver.url)
    subscription["notification"] = {"httpCustom": custom, "attrs": ["A"]}
    with api.on(start_broker("-disableCustomNotifications")) as client:
        client.subscribe(subscription)
        client.create({"id": "E", "type": "T", "A": 1, "B": 2}, options="keyValues")
        delivery = receiver.next()
    assert (delivery.method, delivery.headers["x-a"]) == ("POST", None)
    assert "a=1" not in delivery.path
    assert delivery.headers["Ngsiv2-AttrsFormat"] == "normalized"
    (entity,) = delivery.data
    assert list(entity) == ["id", "type", "A"]


def test_port_that_is_taken(start_broker: StartBroker) -> None:
    taken = start_broker()
    with pytest.raises(RuntimeError, match="ddress already in use") as failure:
        start_broker("--port", str(taken.port))
    # One sentence, nothing of what was opened before is left to complain.
    (line,) = str(failure.value).splitlines()[1:]
    assert line.startswith("rigel broker: ")
