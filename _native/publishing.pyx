# cython: language_level=3, boundscheck=False, wraparound=False
"""From an event to the notifications that wait for its commit, and from outcomes to counters.

What most notifications need: an active subscription without throttling, expression or durable
delivery. `broker.publisher` derives its class from this one, and has the definition for all of
them. Must not: send, journal, or judge a condition. Costs: a microsecond for an event and one for
each notification, beside making them.
"""

cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem, PyDict_SetItem
from cpython.object cimport PyObject

from _native.messages cimport Drafts, Plan
from _native.notification cimport Notification


cdef class Publications:
    cdef readonly dict _progressed
    cdef public object _commit
    cdef public list _batch
    cdef public Py_ssize_t _waiting
    cdef public long long _waiting_bytes
    cdef Py_ssize_t _waiting_max
    cdef long long _waiting_bytes_max
    cdef object _committed
    cdef object _clock
    cdef object _active
    cdef object _tenants
    cdef dict _plans
    cdef object _make_plan
    cdef object _make_drafts
    cdef object _rules
    cdef object _on_result
    cdef bint _has_joined  # the commit of what is being published

    def __init__(
        self,
        *,
        committed not None,
        clock not None,
        tenants not None,
        active not None,
        rules not None,
        make_drafts not None,
        Py_ssize_t waiting_max,
        long long waiting_bytes_max,
    ):
        self._committed = committed
        self._clock = clock
        self._tenants = tenants
        self._active = active
        self._rules = rules
        self._plans = rules.plans
        self._make_plan = rules.plan
        self._make_drafts = make_drafts
        self._on_result = self.record
        self._waiting_max = waiting_max
        self._waiting_bytes_max = waiting_bytes_max
        self._progressed = {}
        self._batch = []

    def publish(self, tenant not None, origin not None, event not None):
        """See `broker.publisher.Publisher`."""
        cdef Drafts drafts
        cdef str name
        table = tenant.subscriptions
        handles = table.match(event)
        if not handles:
            return
        now = self._clock()
        drafts = self._make_drafts(event, origin, self._rules, self._on_result)
        name = tenant.name
        self._has_joined = False
        for handle in handles:
            subscription = table.at(handle)
            if not self._publish_plainly(subscription, drafts, name, now):
                self.publish_one(subscription, drafts, name, now)

    cdef bint _publish_plainly(
        self, object subscription, Drafts drafts, str tenant, object now
    ) except -1:
        """False if there is more to do; nothing was done then."""
        cdef Notification message
        cdef PyObject *found
        if (
            subscription.status is not self._active
            or subscription.expires is not None
            or subscription.throttling_s
            or subscription.has_expression
            or subscription.originator
            or self._waiting >= self._waiting_max
            or self._waiting_bytes >= self._waiting_bytes_max
        ):
            return False
        delivery = subscription.delivery
        if delivery.durable:
            return False
        found = PyDict_GetItem(self._plans, <size_t><PyObject *>delivery)
        plan = self._make_plan(delivery) if found == NULL else <object>found
        try:
            message = drafts.make_plainly(<Plan?>plan, subscription.id, tenant)
        except Exception:
            return False  # its trouble is told where all are
        if message is None:
            return False
        counters = subscription.counters
        counters.times_sent += 1
        counters.last_notification = now
        PyDict_SetItem(self._progressed, (tenant, subscription.id), None)
        if not self._has_joined:
            self._join_commit()
            self._has_joined = True
        self._waiting += 1
        self._waiting_bytes += PyBytes_GET_SIZE(message.body)
        self._batch.append(message)
        return True

    cdef int _join_commit(self) except -1:
        """Have the batch wait for the commit of this turn's changes."""
        commit = self._committed()
        if commit is not self._commit or commit.done():
            self._commit = commit
            self._batch = []
            self.await_commit(commit, self._batch)
        return 0

    def hold(self, message not None):
        """Keep a notification until the commit of all that was journaled so far."""
        self._join_commit()
        self._waiting += 1
        self._waiting_bytes += len(message.body)
        self._batch.append(message)

    def take_batch(self, list batch not None):
        """The notifications of a batch wait no longer."""
        cdef long long size = 0
        for message in batch:
            size += len(message.body)
        self._waiting -= len(batch)
        self._waiting_bytes -= size

    def record(self, message not None, outcome not None):
        """Count how a delivery went."""
        tenant = self._tenants.get(message.tenant)
        if tenant is None:
            return
        subscription = tenant.subscriptions.get(message.subscription_id)
        if subscription is None:
            return
        at, status, failure, _ = outcome
        if failure is not None:
            self.record_failure(subscription, message.tenant, failure)
            return
        counters = subscription.counters
        PyDict_SetItem(self._progressed, (message.tenant, subscription.id), None)
        counters.last_success = at
        counters.last_success_code = status
        counters.fails_counter = 0

    def take_progress(self):
        """Tenants and ids of the subscriptions whose counters changed; none from now on."""
        progressed = self._progressed
        self._progressed = {}
        return progressed
