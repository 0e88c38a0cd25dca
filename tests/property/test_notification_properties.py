"""The requests of notifications, whose heads are made once, against those made field by field."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from _native.messages import Drafts, Plan, Shape
from _native.notification import Heading
from _native.request import MalformedRequest, compose_request
from broker.origin import Origin
from broker.sender import locate
from ngsi.model import AlterationType, Entity, EntityEvent
from ngsi.v2.render import ENCODER, WHOLE

URL = "http://receiver:1028/notify?a=1"
values = st.text(st.sampled_from("ab/# é☃\udc80"), max_size=6)
AGENT = "agent"
JSON = "application/json"


class Letters(Drafts):
    """Drafts with a heading for each, and an entity that is not shown."""

    encoder = ENCODER

    def encode(self, shape: Shape) -> bytes:
        return b"{}"

    def make_heading(self, plan: Plan) -> Heading | None:
        origin = self._origin
        path = self._event.entity.service_path
        location = locate(URL)
        service, token = origin.service_header, origin.auth_token
        return Heading(location, "POST", AGENT, service, path, token, JSON, plan.attrs_format)


def expected_headers(service: str, path: str, token: str, correlator: str) -> dict[str, str]:
    headers = {"User-Agent": AGENT}
    if service:
        headers["Fiware-Service"] = service
    headers["Fiware-ServicePath"] = path
    if token:
        headers["X-Auth-Token"] = token
    return headers | {
        "Accept": "application/json",
        "Content-Type": JSON,
        "Fiware-Correlator": correlator,
        "Ngsiv2-AttrsFormat": "normalized",
    }


ENVELOPE = b'{"subscriptionId":"%b","data":[%b]}'


@given(st.lists(st.tuples(values, values, values, values, st.booleans()), min_size=1, max_size=4))
def test_a_drafted_request_is_the_composed_one(
    events: list[tuple[str, str, str, str, bool]],
) -> None:
    plan = Plan(
        "delivery", Shape(WHOLE, False, False, True), URL, False, "normalized", ENVELOPE, 5.0
    )
    location = locate(URL)
    for service, path, token, correlator, is_read_first in events:
        entity = Entity("E", "T", path, {}, 1.0, 1.0, 1)
        nothing: frozenset[str] = frozenset()
        event = EntityEvent(entity, {}, AlterationType.CREATE, nothing, nothing, nothing)
        origin = Origin(correlator=correlator, auth_token=token, service_header=service)
        message = Letters(event, origin, None, print).draft(plan, "5f91", "city")
        assert message is not None
        assert message.body == b'{"subscriptionId":"5f91","data":[{}]}'
        headers = expected_headers(service, path, token, f"{correlator}; cbnotif=1")
        assert (message.service, message.service_path) == (service, path)
        if is_read_first:
            assert message.headers
        assert message.compose() == compose_request(
            "POST", location.target, location.host, headers, message.body
        )
        assert list(message.headers.items()) == list(headers.items())
        message.headers["More"] = "1"
        assert b"\r\nMore: 1\r\n" in message.compose()
        message.url = "http://other/"
        assert (message.url, message.headers["More"]) == ("http://other/", "1")


@pytest.mark.parametrize("value", ["a\r\nb", "a\nb", "a\0b"])
def test_a_heading_takes_no_line_breaks(value: str) -> None:
    with pytest.raises(MalformedRequest):
        Heading(locate(URL), "POST", AGENT, "", value, "", JSON, "normalized")
