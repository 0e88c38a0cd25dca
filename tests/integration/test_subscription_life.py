"""The life of a subscription: status, expiry, throttling, counters, failures.

Source: Orion API, sections "subscription", "subscription.notification" and "Oneshot
Subscriptions"; Orion's functional cases 1126, 1328, 1949, 1960, 2064, 2114, 3189, 3541, 3842 and
3981.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from tests.integration.endpoints import never_answer, refuse_connections
from tests.integration.subscriptions import (
    WAIT_TIMEOUT_S,
    await_state,
    change,
    counters,
    create,
    document,
    force_update,
    has_ended,
    has_failed,
    number,
    patch,
    received_attributes,
    received_ids,
    show,
)

if TYPE_CHECKING:
    from tests.integration.conftest import Api, Receiver

FUTURE = "2050-04-05T14:00:00.000Z"
PAST = "2016-04-05T14:00:00.000Z"
REFUSED = "Could not connect to server"


@pytest.fixture
def dead_url() -> Iterator[str]:
    """A URL whose endpoint refuses connections."""
    with refuse_connections() as url:
        yield url


class TestStatus:
    def test_inactive_is_silent_until_it_is_active(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url, status="inactive"))
        create(api, "E1", A=1)
        change(api, subscription_id, status="active")
        create(api, "E2", A=1)
        change(api, subscription_id, status="inactive")
        create(api, "E3", A=1)
        assert received_ids(api, receiver) == ["E2"]
        shown = show(api, subscription_id)
        assert (shown["status"], shown["notification"]["timesSent"]) == ("inactive", 1)

    def test_other_changes_keep_the_status(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url, status="inactive"))
        change(api, subscription_id, description="x", throttling=0)
        assert show(api, subscription_id)["status"] == "inactive"


class TestExpiry:
    def test_expired_from_the_beginning(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url, expires=PAST))
        create(api, A=1)
        assert show(api, subscription_id)["status"] == "expired"
        assert received_ids(api, receiver) == []

    def test_expires_while_it_lives(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url, expires=FUTURE))
        create(api, "E1", A=1)
        soon = datetime.now(UTC) + timedelta(seconds=0.2)
        expires = f"{soon:%Y-%m-%dT%H:%M:%S}.{soon.microsecond // 1000:03d}Z"
        change(api, subscription_id, expires=expires)
        shown = await_state(api, subscription_id, lambda item: item["status"] == "expired")
        assert shown["expires"] == expires
        create(api, "E2", A=1)
        change(api, subscription_id, expires=FUTURE)
        assert show(api, subscription_id)["status"] == "active"
        create(api, "E3", A=1)
        change(api, subscription_id, expires="")
        create(api, "E4", A=1)
        assert received_ids(api, receiver) == ["E1", "E3", "E4"]

    def test_status_is_kept_behind_it(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url, expires=PAST))
        change(api, subscription_id, status="inactive")
        assert show(api, subscription_id)["status"] == "expired"
        change(api, subscription_id, expires=FUTURE)
        assert show(api, subscription_id)["status"] == "inactive"
        change(api, subscription_id, expires=PAST, status="oneshot")
        create(api, "E1", A=1)
        change(api, subscription_id, expires="")
        assert show(api, subscription_id)["status"] == "oneshot"
        create(api, "E2", A=1)
        assert received_ids(api, receiver) == ["E2"]

    def test_is_listed_as_expired(self, api: Api, receiver: Receiver) -> None:
        api.subscribe(document(receiver.url, expires=PAST))
        assert [item["status"] for item in api.get("/v2/subscriptions").json] == ["expired"]


class TestOneshot:
    def test_one_notification_until_it_is_armed_again(self, api: Api, receiver: Receiver) -> None:
        create(api, temperature=23, pressure=720)
        subscription_id = api.subscribe(
            document(
                receiver.url,
                condition={"attrs": ["pressure"]},
                notification={"attrs": ["temperature"], "attrsFormat": "keyValues"},
                status="oneshot",
            )
        )
        assert show(api, subscription_id)["status"] == "oneshot"
        patch(api, temperature=number(24))  # does not trigger, and so does not count
        assert show(api, subscription_id)["status"] == "oneshot"
        for step in (730, 740):
            patch(api, temperature=number(step), pressure=number(step))
        assert show(api, subscription_id)["status"] == "inactive"
        change(api, subscription_id, status="oneshot")
        assert show(api, subscription_id)["status"] == "oneshot"
        for step in (750, 760):
            patch(api, temperature=number(step), pressure=number(step))
        shown = show(api, subscription_id)
        assert (shown["status"], shown["notification"]["timesSent"]) == ("inactive", 2)
        assert received_attributes(api, receiver) == [{"temperature": 730}, {"temperature": 750}]

    def test_one_notification_of_a_batch(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url, status="oneshot"))
        entities = [{"id": f"E{index}", "A": number(1)} for index in range(5)]
        batch = {"actionType": "append", "entities": entities}
        assert api.post("/v2/op/update", batch).status == 204
        assert received_ids(api, receiver) == ["E0"]
        assert show(api, subscription_id)["status"] == "inactive"

    def test_failed_notification_counts(self, api: Api, dead_url: str) -> None:
        subscription_id = api.subscribe(document(dead_url, status="oneshot"))
        create(api, A=1)
        shown = await_state(api, subscription_id, has_ended(1, "failsCounter"))
        assert shown["status"] == "inactive"


class TestThrottling:
    def test_notifications_within_it_are_discarded(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url, throttling=3600))
        create(api, "E1", A=1)
        create(api, "E2", A=1)  # of the subscription, not of the entity
        assert received_ids(api, receiver) == ["E1"]
        assert show(api, subscription_id)["notification"]["timesSent"] == 1

    def test_after_it_they_come_again(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url, throttling=1))
        create(api, A=1)
        assert receiver.next().data[0]["A"] == number(1)
        first = show(api, subscription_id)["notification"]["lastNotification"]
        updates = 1
        deadline = time.monotonic() + WAIT_TIMEOUT_S
        while show(api, subscription_id)["notification"]["timesSent"] == 1:
            assert time.monotonic() < deadline
            updates += 1
            patch(api, A=number(updates))
        assert receiver.next().data[0]["A"] == number(updates)
        # Whole seconds of two times that are at least one second apart differ.
        assert show(api, subscription_id)["notification"]["lastNotification"] > first

    def test_change_counts_at_once(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url))
        create(api, "E1", A=1)
        change(api, subscription_id, throttling=3600)
        create(api, "E2", A=1)
        change(api, subscription_id, throttling=0)
        create(api, "E3", A=1)
        assert received_ids(api, receiver) == ["E1", "E3"]

    def test_failed_notification_begins_it(self, api: Api, dead_url: str) -> None:
        subscription_id = api.subscribe(document(dead_url, throttling=3600))
        create(api, A=1)
        await_state(api, subscription_id, has_ended(1, "failsCounter"))
        force_update(api)
        assert show(api, subscription_id)["notification"]["timesSent"] == 1


class TestCounters:
    def test_nothing_is_shown_before_the_first(self, api: Api, receiver: Receiver) -> None:
        assert counters(show(api, api.subscribe(document(receiver.url)))) == {}

    @pytest.mark.parametrize("status", [200, 204, 400, 404, 500])
    def test_any_response_is_a_success(self, api: Api, receiver: Receiver, status: int) -> None:
        receiver.status = status
        subscription_id = api.subscribe(document(receiver.url))
        create(api, A=1)
        shown = await_state(api, subscription_id, has_ended(1, "lastSuccess"))
        assert counters(shown) == {
            "timesSent": 1,
            "lastNotification": True,
            "lastSuccess": True,
            "lastSuccessCode": status,
        }
        assert api.get("/v2/subscriptions").json == [shown]

    def test_times_are_those_of_the_clock(self, api: Api, receiver: Receiver) -> None:
        before = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.000Z"
        subscription_id = api.subscribe(document(receiver.url))
        create(api, A=1)
        shown = await_state(api, subscription_id, has_ended(1, "lastSuccess"))["notification"]
        after = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S}.000Z"
        assert before <= shown["lastNotification"] <= shown["lastSuccess"] <= after

    def test_every_notification_has_ended(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url))
        for index in range(30):
            create(api, f"E{index}", A=1)
        assert len(receiver.take_until_fence(api)) == 30
        assert show(api, subscription_id)["notification"]["timesSent"] == 30

    def test_no_connection(self, api: Api, dead_url: str) -> None:
        subscription_id = api.subscribe(document(dead_url))
        create(api, A=1)
        shown = await_state(api, subscription_id, has_ended(1, "failsCounter"))
        assert counters(shown) == {
            "timesSent": 1,
            "lastNotification": True,
            "lastFailure": True,
            "lastFailureReason": REFUSED,
            "failsCounter": 1,
        }
        assert shown["status"] == "active"

    def test_no_answer_in_time(self, api: Api) -> None:
        with never_answer() as url:
            given = document(url)
            given["notification"]["http"]["timeout"] = 200
            subscription_id = api.subscribe(given)
            create(api, A=1)
            shown = await_state(api, subscription_id, has_ended(1, "failsCounter"))
        assert shown["notification"]["lastFailureReason"] == "Timeout was reached"
        assert "lastSuccess" not in shown["notification"]

    def test_from_success_to_failure_and_back(
        self, api: Api, receiver: Receiver, dead_url: str
    ) -> None:
        create(api, A=1)
        subscription_id = api.subscribe(document(receiver.url))
        success = {"lastSuccess": True, "lastSuccessCode": 200}
        failure = {"lastFailure": True, "lastFailureReason": REFUSED}

        force_update(api)
        shown = await_state(api, subscription_id, has_ended(1, "lastSuccess"))
        assert counters(shown) == {"timesSent": 1, "lastNotification": True, **success}

        change(api, subscription_id, notification={"http": {"url": dead_url}})
        for times in (2, 3):
            force_update(api)
            # The failures are consecutive and counted; the last success stays.
            shown = await_state(api, subscription_id, has_failed(times - 1))
            assert counters(shown) == {
                "timesSent": times,
                "lastNotification": True,
                "failsCounter": times - 1,
                **success,
                **failure,
            }

        change(api, subscription_id, notification={"http": {"url": receiver.url}})
        force_update(api)
        shown = await_state(api, subscription_id, has_failed(0))
        assert counters(shown) == {
            "timesSent": 4,
            "lastNotification": True,
            **success,
            **failure,
        }

    def test_changes_keep_them_and_cannot_set_them(self, api: Api, receiver: Receiver) -> None:
        subscription_id = api.subscribe(document(receiver.url))
        create(api, A=1)
        before = counters(await_state(api, subscription_id, has_ended(1, "lastSuccess")))
        change(
            api,
            subscription_id,
            description="x",
            subject={"entities": [{"id": "F"}]},
            notification={
                "http": {"url": receiver.url},
                "timesSent": 100,
                "failsCounter": 7,
                "lastSuccessCode": 404,
                "lastFailureReason": "none",
            },
        )
        assert counters(show(api, subscription_id)) == before


class TestLimitOfFailures:
    def test_status_becomes_inactive(self, api: Api, receiver: Receiver, dead_url: str) -> None:
        create(api, A=1)
        subscription_id = api.subscribe(document(dead_url, notification={"maxFailsLimit": 2}))

        def fail(times: int) -> str:
            force_update(api)
            shown = await_state(api, subscription_id, has_failed(times))
            status: str = shown["status"]
            return status

        assert [fail(1), fail(2), fail(3)] == ["active", "active", "inactive"]
        force_update(api)
        assert counters(show(api, subscription_id))["timesSent"] == 3

        # A single further failure is enough, as the failures are still consecutive.
        change(api, subscription_id, status="active")
        assert fail(4) == "inactive"

        more = {"http": {"url": dead_url}, "maxFailsLimit": 5}
        change(api, subscription_id, status="active", notification=more)
        assert [fail(5), fail(6)] == ["active", "inactive"]

        live = {"http": {"url": receiver.url}, "maxFailsLimit": 5}
        change(api, subscription_id, status="active", notification=live)
        force_update(api)
        shown = await_state(api, subscription_id, has_ended(7, "lastSuccess"))
        assert (shown["status"], shown["notification"]["maxFailsLimit"]) == ("active", 5)
        assert "failsCounter" not in shown["notification"]

        log = api.broker.log.read_text()
        for fails, limit in ((3, 2), (4, 2), (6, 5)):
            assert (
                f"Subscription {subscription_id} automatically disabled due to failsCounter "
                f"({fails}) overpasses maxFailsLimit ({limit})"
            ) in log

    def test_success_begins_the_count_anew(
        self, api: Api, receiver: Receiver, dead_url: str
    ) -> None:
        create(api, A=1)
        subscription_id = api.subscribe(document(receiver.url, notification={"maxFailsLimit": 1}))
        for times in (1, 3, 5):
            force_update(api)
            succeeded = has_ended(1, "lastSuccess") if times == 1 else has_failed(0)
            await_state(api, subscription_id, succeeded)
            dead = {"http": {"url": dead_url}, "maxFailsLimit": 1}
            change(api, subscription_id, notification=dead)
            force_update(api)
            shown = await_state(api, subscription_id, has_ended(times + 1, "failsCounter"))
            assert shown["notification"]["failsCounter"] == 1
            assert shown["status"] == "active"
            live = {"http": {"url": receiver.url}, "maxFailsLimit": 1}
            change(api, subscription_id, notification=live)
        force_update(api)
        shown = await_state(api, subscription_id, has_failed(0))
        assert shown["status"] == "active"
