# cython: language_level=3, boundscheck=False, wraparound=False
"""The notification for an event and a subscription, where nothing has to be filled in.

`broker.messages` is the door and makes all others. What is the same for every notification of a
subscription stands in its `Plan`; what is the same for every notification of an event is encoded
once. Must not: send, or know which subscriptions are concerned. Costs: a microsecond or two, and
the encoding of what was not encoded for another subscription.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem, PyDict_SetItem
from cpython.object cimport PyObject
from libc.string cimport memcpy

from _native.events cimport EntityEvent
from _native.notification cimport Heading, Notification, make_notification
from _native.origin cimport Origin
from _native.rendering cimport EntityEncoder

cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL


@cython.final
cdef class Shape:
    def __init__(self, view not None, bint covered, bint is_plain, bint is_normalized):
        self.view = view
        self.covered = covered
        self.is_plain = is_plain and not covered
        self.is_normalized = is_normalized
        self._wanted = view.attributes
        self._excluded = view.except_attributes


@cython.final
cdef class Plan:
    def __init__(
        self,
        delivery not None,
        Shape shape,
        str url,
        bint has_macros,
        str attrs_format not None,
        bytes envelope not None,
        double timeout_s,
    ):
        self.delivery = delivery
        self.shape = shape
        self.url = url
        self.has_macros = has_macros
        self.attrs_format = attrs_format
        self.envelope = envelope
        if envelope:
            self._before, self._between, self._behind = envelope.split(b"%b")
        self.timeout_s = timeout_s


cdef bytes enclose(Plan plan, str subscription_id, bytes body):
    """The body in the plan's envelope."""
    cdef Py_ssize_t id_size
    cdef const char *id = PyUnicode_AsUTF8AndSize(subscription_id, &id_size)
    cdef Py_ssize_t before = PyBytes_GET_SIZE(plan._before)
    cdef Py_ssize_t between = PyBytes_GET_SIZE(plan._between)
    cdef Py_ssize_t behind = PyBytes_GET_SIZE(plan._behind)
    cdef Py_ssize_t size = PyBytes_GET_SIZE(body)
    cdef bytes whole = PyBytes_FromStringAndSize(NULL, before + id_size + between + size + behind)
    cdef char *at = PyBytes_AS_STRING(whole)
    memcpy(at, PyBytes_AS_STRING(plan._before), before)
    at += before
    memcpy(at, id, id_size)
    at += id_size
    memcpy(at, PyBytes_AS_STRING(plan._between), between)
    at += between
    memcpy(at, PyBytes_AS_STRING(body), size)
    at += size
    memcpy(at, PyBytes_AS_STRING(plan._behind), behind)
    return whole


cdef class Drafts:
    def __init__(
        self,
        EntityEvent event not None,
        Origin origin not None,
        rules,
        on_result not None,
    ):
        self._event = event
        self._rules = rules
        self._origin = origin
        self._on_result = on_result
        self._bodies = {}

    def draft(self, Plan plan not None, str subscription_id not None, str tenant not None):
        """See `messages.pyi`."""
        return self.make_plainly(plan, subscription_id, tenant)

    cdef Notification make_plainly(self, Plan plan, str subscription_id, str tenant):
        cdef Origin origin = self._origin
        cdef EntityEvent event = self._event
        cdef Heading heading = plan._heading
        cdef bytes body
        if plan.url is None or plan.has_macros or plan.shape is None:
            return None
        if (
            heading is None
            or heading.service != origin.service_header
            or heading.service_path != event.entity.service_path
            or heading.token != origin.auth_token
        ):
            heading = plan._heading = self.make_heading(plan)
            if heading is None:
                return None
        body = self.body_of(plan.shape)
        if PyBytes_GET_SIZE(body) == 0:
            return None  # nothing is to be told
        if plan.envelope:
            body = enclose(plan, subscription_id, body)
        origin.notifications += 1
        return make_notification(
            subscription_id,
            tenant,
            plan.url,
            heading,
            f"{origin.correlator}; cbnotif={origin.notifications}",
            body,
            plan.timeout_s,
            (subscription_id, event.entity.id),
            self._on_result,
        )

    cdef bytes body_of(self, Shape shape):
        cdef PyObject *known = PyDict_GetItem(self._bodies, shape)
        cdef bytes body = None
        if known != NULL:
            return <bytes>known
        if shape.is_plain:
            body = (<EntityEncoder?>self.encoder).encode(
                self._event.entity,
                self._event,
                shape._wanted,
                shape._excluded,
                shape.is_normalized,
            )
        if body is None:
            body = self.encode(shape)
        PyDict_SetItem(self._bodies, shape, body)
        return body

    def body(self, Shape shape not None):
        """The text of what is shown, without the envelope."""
        return self.body_of(shape)

    def use_body(self, Shape shape not None, bytes body not None):
        """Have another text for what is shown."""
        PyDict_SetItem(self._bodies, shape, body)
