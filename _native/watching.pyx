# cython: language_level=3, boundscheck=False, wraparound=False
"""Counts notifications over HTTP as they are queued and as they end.

`broker.deliveries` derives its class from this one, and counts all else. Must not: send, queue or
order. Costs: a call more at each end of a notification, and the counts.
"""

cimport cython

from _native.notification cimport Notification


cdef class DeliveryWatch:
    cdef object _send
    cdef object _statistics
    cdef object _count_outgoing
    cdef set _alarmed
    cdef object _clock

    def __init__(
        self,
        *,
        send not None,
        statistics not None,
        count_outgoing,
        set alarmed not None,
        clock,
    ):
        self._send = send
        self._statistics = statistics
        self._count_outgoing = count_outgoing
        self._alarmed = alarmed
        self._clock = clock

    def send(self, message not None):
        """Queue a notification; False when it is dropped."""
        cdef Notification over_http
        if type(message) is not Notification:
            return self.send_other(message)
        over_http = <Notification>message
        if self._clock is not None:
            self._clock.enter(message)
        over_http.tell = over_http.on_result
        over_http.on_result = self
        if self._send(message):
            self._statistics.queue.accepted += 1
            return True
        self._statistics.queue.rejected += 1
        if self._clock is not None:
            self._clock.forget(message)
        return False

    def __call__(self, Notification message not None, outcome):
        """It has ended."""
        cdef Py_ssize_t response_bytes
        cdef bint has_failed
        if self._clock is not None:
            self._clock.leave(message)
        _, _, failure, response_bytes = outcome
        has_failed = failure is not None
        statistics = self._statistics
        queue = statistics.queue
        if has_failed:
            queue.failed += 1
        else:
            queue.sent += 1
            statistics.notifications_sent += 1
        if self._count_outgoing is not None:
            self._count_outgoing(
                message.service_of(),
                message.service_path_of(),
                len(message.body),
                response_bytes,
                has_failed,
            )
        if has_failed or self._alarmed:
            self.alarm(message, outcome)
        message.tell(message, outcome)
