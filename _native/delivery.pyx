# cython: language_level=3, boundscheck=False, wraparound=False
"""What is done for every notification between its commit and its outcome.

Queues in which what has the same key leaves one after the other, lanes that empty them, counters.
`broker.notifier` is the door and the rest of it: it derives its classes from these, which call
back for whatever is not the course of an ordinary notification. Must not: know HTTP, the log, or
what a notification is about. Costs: O(1) and a microsecond or two at each end of a notification;
no task, future or timer.
"""

cimport cython
from collections import deque

from cpython.dict cimport PyDict_Contains, PyDict_DelItem, PyDict_GetItem, PyDict_SetItem
from cpython.list cimport PyList_GET_SIZE
from cpython.object cimport PyObject
from libc.math cimport INFINITY

from _native.notification cimport Notification

NEVER = INFINITY

DEF INFO = 20  # of the module logging


cdef class OrderedQueue:
    def __init__(self, Py_ssize_t parked_at_once):
        self.waiting = deque()
        self.busy = {}
        self._parked_at_once = parked_at_once

    @classmethod
    def __class_getitem__(cls, item):
        return cls  # for types, which it leaves alone

    def claim(self, item):
        PyDict_SetItem(self.busy, item.order_key, None)

    def add(self, item):
        self.queued += 1
        if not self.waiting and PyDict_Contains(self.busy, item.order_key):
            self._park(item)
        else:
            self.waiting.append(item)

    def take(self):
        cdef Py_ssize_t left = self._parked_at_once
        waiting = self.waiting
        while left and waiting:
            left -= 1
            item = waiting.popleft()
            if not PyDict_Contains(self.busy, item.order_key):
                self.claim(item)
                self.queued -= 1
                return item
            self._park(item)
        return None

    def release(self, order_key):
        parked = self.busy[order_key]
        if parked:
            self.queued -= 1
            return parked.popleft()
        PyDict_DelItem(self.busy, order_key)
        return None

    def put_back(self, item):
        parked = self.busy.pop(item.order_key)
        if parked:
            self.waiting.extendleft(reversed(parked))
        self.waiting.appendleft(item)
        self.queued += 1

    def drain(self):
        everything = []
        for parked in self.busy.values():
            if parked:
                everything += parked
        everything += self.waiting
        self.busy.clear()
        self.waiting.clear()
        self.queued = 0
        return iter(everything)

    def _park(self, item):
        parked = self.busy[item.order_key]
        if parked is None:
            self.busy[item.order_key] = deque((item,))
        else:
            parked.append(item)


cdef class EndpointQueue(OrderedQueue):
    def __init__(self, endpoint, Py_ssize_t parked_at_once):
        OrderedQueue.__init__(self, parked_at_once)
        self.endpoint = endpoint
        self.idle = []


@cython.final
cdef class Lane:
    def __init__(self, EndpointQueue queue not None, connection not None, Delivery delivery):
        self.queue = queue
        self.connection = connection
        self.deadline = INFINITY
        self._delivery = delivery

    def __call__(self, response, failure):
        """The exchange under way has ended."""
        self._delivery.end(self, response, failure)


cdef class IdleLanes:
    def __init__(self):
        self._idle = {}
        self.starving = {}

    cdef Lane free(self, EndpointQueue queue):
        cdef Lane lane
        if PyList_GET_SIZE(queue.idle) == 0:
            return self.start_lane(queue)
        if not self._rousings_left:
            return None
        self._rousings_left -= 1
        if self._turn_timer is None:
            self.expect_turn()
        lane = <Lane>queue.idle.pop()
        PyDict_DelItem(self._idle, lane)
        return lane

    def take_free(self, EndpointQueue queue not None):
        return self.free(queue)

    cpdef rest(self, Lane lane):
        lane.queue.idle.append(lane)
        PyDict_SetItem(self._idle, lane, self._loop.time())
        if self._idle_timer is None:
            self.expect_idle_end()


cdef class Deadlines:
    def __init__(self):
        self._timer_at = INFINITY

    cdef int begin(self, Lane lane, double timeout_s) except -1:
        cdef double deadline = <double>self._loop.time() + timeout_s
        lane.deadline = deadline
        if deadline < self._timer_at:
            self.set_timer(deadline)
        return 0


cdef class Delivery:
    def __init__(
        self,
        *,
        Py_ssize_t queue_length,
        Py_ssize_t max_message_bytes,
        long long outstanding_bytes_max,
        Py_ssize_t overhead_bytes,
        double default_timeout_s,
        clock not None,
        outcome not None,
        locate not None,
        log not None,
        log_end not None,
    ):
        self._queue_length = queue_length
        self._max_message_bytes = max_message_bytes
        self._outstanding_bytes_max = outstanding_bytes_max
        self._overhead_bytes = overhead_bytes
        self._default_timeout_s = default_timeout_s
        self._clock = clock
        self._outcome = outcome
        self._locate = locate
        self._is_logged = log.isEnabledFor
        self._log_end = log_end
        self._queues = {}

    def send(self, Notification notification not None):
        """Queue a notification: see `broker.notifier.Notifier`."""
        cdef Py_ssize_t message_bytes, size
        cdef PyObject *found
        cdef EndpointQueue queue
        cdef Lane lane
        if self._closing:
            self._dropped += 1
            return False
        message_bytes = len(notification.body) + notification.measure()
        size = notification.size_bytes = message_bytes + self._overhead_bytes
        if message_bytes > self._max_message_bytes:
            return self.refuse_size(notification)
        if notification.location is None:
            try:
                notification.location = self._locate(notification._url)
            except Exception as error:
                return self.refuse_url(notification, error)
        endpoint = notification.location.endpoint
        found = PyDict_GetItem(self._queues, endpoint)
        if found == NULL:
            if self._outstanding_bytes + size > self._outstanding_bytes_max:
                return self.drop(None, True)
            queue = self.make_queue(endpoint)
            self._queues[endpoint] = queue
        else:
            queue = <EndpointQueue>found
            if (
                queue.outstanding_bytes + self._outstanding_bytes + size
                > self._outstanding_bytes_max
            ):
                return self.drop(queue, True)
        if not queue.waiting and not PyDict_Contains(queue.busy, notification.order_key):
            lane = self._lanes.free(queue)
            if lane is not None:
                self.accept(size, queue)
                PyDict_SetItem(queue.busy, notification.order_key, None)
                self.begin(lane, notification)
                return True
        if queue.queued >= self._queue_length:
            return self.drop(queue, False)
        self.accept(size, queue)
        queue.add(notification)
        if queue.waiting:
            self._lanes.help(queue)
        return True

    def drop(self, EndpointQueue queue, bint for_memory):
        """It is not accepted; returns what `send` says then."""
        self._dropped += 1
        if queue is not None:
            queue.dropped += 1
        self.log_drop(None if for_memory else queue)
        return False

    def take_over(self, Notification notification not None, EndpointQueue queue not None):
        """It is accepted, and its outcome is known."""
        self.accept(notification.size_bytes, queue)

    cdef int accept(self, Py_ssize_t size, EndpointQueue queue) except -1:
        if not self._outstanding:
            self.begin_work()
        self._outstanding += 1
        self._outstanding_bytes += size
        queue.outstanding_bytes += size
        return 0

    cdef int begin(self, Lane lane, Notification notification) except -1:
        """One exchange, of a notification whose key is claimed."""
        cdef double timeout_s = notification.timeout_s
        lane.notification = notification
        self._deadlines.begin(lane, timeout_s if timeout_s > 0 else self._default_timeout_s)
        try:
            lane.connection.exchange(notification, lane)
        except Exception:
            self.fail_later(lane, notification)
        return 0

    cdef int end(self, Lane lane, object response, object failure) except -1:
        """The end of an exchange is the beginning of the next."""
        cdef Notification following = self.conclude(lane, response, failure)
        # After one exchange at least, or endpoints would only pass their turn on.
        if self._lanes.starving and self._lanes.lacks_connections():
            if following is not None:
                lane.queue.put_back(following)
            self._lanes.end(lane)
        elif following is not None:
            self.begin(lane, following)
        elif failure is not None and not lane.queue.waiting:
            # Its connection is closed, so that a new lane is as good: those take turns.
            self._lanes.end(lane)
        else:
            self.go_on(lane)
        return 0

    def end_exchange(self, Lane lane not None, response, failure):
        """As the lane's own call."""
        self.end(lane, response, failure)

    cdef Notification conclude(self, Lane lane, object response, object failure):
        """Counts and reports. Returns the next notification with the same key, if any: it is
        older than all that wait."""
        cdef EndpointQueue queue = lane.queue
        cdef Notification notification = lane.notification
        cdef Notification following = None
        cdef PyObject *parked
        if notification is None:
            raise RuntimeError("no exchange is under way")
        lane.notification = None
        lane.deadline = INFINITY
        parked = PyDict_GetItem(queue.busy, notification.order_key)
        if parked == <PyObject *>None:
            PyDict_DelItem(queue.busy, notification.order_key)
        else:
            following = queue.release(notification.order_key)
        self.finish(notification, queue, response, failure)
        return following

    def conclude_exchange(self, Lane lane not None, response, failure):
        """The end of an exchange which no other follows; returns the next with the same key."""
        return self.conclude(lane, response, failure)

    cdef int finish(
        self, Notification notification, EndpointQueue queue, object response, object failure
    ) except -1:
        """Counts, logs and reports the end of an accepted notification."""
        cdef Py_ssize_t size = notification.size_bytes
        cdef bint is_usual = True  # all but responses that are errors
        cdef int status
        self._outstanding -= 1
        self._outstanding_bytes -= size
        queue.outstanding_bytes -= size
        if response is not None:
            self._sent += 1
            queue.sent += 1
            status, body = response
            is_usual = 200 <= status < 300
            outcome = tuple.__new__(self._outcome, (self._clock(), status, None, len(body)))
        else:
            self._failed += 1
            queue.failed += 1
            outcome = tuple.__new__(self._outcome, (self._clock(), None, failure, 0))
        if not (is_usual and not self._is_logged(INFO)):
            self._log_end(notification, response, failure)
        try:
            notification.on_result(notification, outcome)
        except Exception:
            self.log_untold(notification)
        if not self._outstanding:
            self.end_work()
        return 0

    def finish_unsent(
        self, Notification notification not None, EndpointQueue queue not None, failure
    ):
        """The end of an accepted notification that no lane has in hand."""
        self.finish(notification, queue, None, failure)

    cdef int go_on(self, Lane lane) except -1:
        """Sets a lane with nothing in hand to work on what waits, or to rest."""
        cdef EndpointQueue queue
        if lane.has_ended:
            return 0
        queue = lane.queue
        if queue.waiting:
            notification = queue.take()
            if notification is not None:
                self.begin(lane, notification)
                return 0
            if queue.waiting:
                # Others may leave, but were too far behind to be found at once.
                self._loop.call_soon(self.set_to_work, lane)
                return 0
        self._lanes.rest(lane)
        return 0

    def set_to_work(self, Lane lane not None):
        """A lane has nothing in hand."""
        self.go_on(lane)
