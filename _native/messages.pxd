from _native.events cimport EntityEvent
from _native.notification cimport Heading, Notification
from _native.origin cimport Origin


cdef class Shape:
    cdef readonly object view
    cdef readonly bint covered
    cdef readonly bint is_plain
    cdef readonly bint is_normalized
    cdef tuple _wanted
    cdef frozenset _excluded


cdef class Plan:
    cdef readonly object delivery
    cdef readonly Shape shape
    cdef readonly str url
    cdef readonly bint has_macros
    cdef readonly str attrs_format
    cdef readonly bytes envelope
    cdef readonly double timeout_s
    cdef bytes _before  # the parts of the envelope
    cdef bytes _between
    cdef bytes _behind
    cdef Heading _heading  # of the last notification


cdef class Drafts:
    cdef readonly EntityEvent _event
    cdef readonly Origin _origin
    cdef readonly object _on_result
    cdef readonly object _rules
    cdef dict _bodies

    cdef Notification make_plainly(self, Plan plan, str subscription_id, str tenant)
    cdef bytes body_of(self, Shape shape)
