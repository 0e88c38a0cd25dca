from _native.notification cimport Notification


cdef class OrderedQueue:
    cdef readonly object waiting
    cdef readonly dict busy
    cdef public Py_ssize_t queued
    cdef Py_ssize_t _parked_at_once


cdef class EndpointQueue(OrderedQueue):
    cdef readonly object endpoint
    cdef readonly list idle
    cdef public long long outstanding_bytes
    cdef public Py_ssize_t lanes
    cdef public long long sent
    cdef public long long failed
    cdef public long long dropped


cdef class Lane:
    cdef readonly EndpointQueue queue
    cdef readonly object connection
    cdef public Notification notification
    cdef public double deadline
    cdef public bint has_ended
    cdef Delivery _delivery


cdef class IdleLanes:
    cdef readonly dict _idle
    cdef public Py_ssize_t _rousings_left
    cdef public object _turn_timer
    cdef public object _idle_timer
    cdef public object _loop
    cdef readonly dict starving

    cdef Lane free(self, EndpointQueue queue)
    cpdef rest(self, Lane lane)


cdef class Deadlines:
    cdef public double _timer_at
    cdef public object _loop

    cdef int begin(self, Lane lane, double timeout_s) except -1


cdef class Delivery:
    cdef public IdleLanes _lanes
    cdef public Deadlines _deadlines
    cdef public object _loop
    cdef public bint _closing
    cdef readonly dict _queues
    cdef readonly long long _sent
    cdef readonly long long _failed
    cdef readonly long long _dropped
    cdef readonly long long _outstanding
    cdef readonly long long _outstanding_bytes
    cdef Py_ssize_t _queue_length
    cdef long long _outstanding_bytes_max
    cdef Py_ssize_t _overhead_bytes
    cdef Py_ssize_t _max_message_bytes
    cdef double _default_timeout_s
    cdef object _clock
    cdef object _outcome
    cdef object _locate
    cdef object _is_logged
    cdef object _log_end

    cdef int end(self, Lane lane, object response, object failure) except -1
    cdef int begin(self, Lane lane, Notification notification) except -1
    cdef int accept(self, Py_ssize_t size, EndpointQueue queue) except -1
    cdef int go_on(self, Lane lane) except -1
    cdef Notification conclude(self, Lane lane, object response, object failure)
    cdef int finish(
        self, Notification notification, EndpointQueue queue, object response, object failure
    ) except -1
