# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""Counts of replies, by head, route and status.

Costs: a look-up per reply. Whoever wants the counts asks for them to be handed over.
"""

from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem
from cpython.object cimport PyObject

cimport cython

from _native.replies cimport Reply
from _native.requests cimport Head, Request

cdef enum:
    MAX_TALLIES = 1024  # not yet handed over

@cython.final
cdef class Tally:
    """What was counted of the requests with one head, for one route, with one status."""



@cython.final
cdef class Tallies:
    """Counts replies. `note` is given the tallies, by `hand_over` or when they are too many."""

    def __init__(self, note):
        self._tallies = {}
        self._note = note

    cdef int count(self, Request request, Reply reply, double ended) except -1:
        cdef double seconds = ended - request.started
        cdef long long microseconds = <long long>(seconds * 1e6)
        cdef Tally tally
        cdef PyObject *found
        cdef tuple key = (request.head, request.route, reply.status)
        found = PyDict_GetItem(self._tallies, key)
        if found != NULL:
            tally = <Tally>found
        else:
            if len(self._tallies) >= MAX_TALLIES:
                self.hand_over()
            tally = Tally.__new__(Tally)
            tally.head = request.head
            tally.method = request.method
            tally.route = request.route
            tally.status = reply.status
            self._tallies[key] = tally
        tally.requests += 1
        tally.request_bytes += PyBytes_GET_SIZE(request.body)
        tally.response_bytes += PyBytes_GET_SIZE(reply.body)
        tally.microseconds += microseconds if microseconds > 0 else 1
        tally.seconds += seconds
        self.total += 1
        return 0

    def hand_over(self):
        """Have the tallies so far noted; counts begin anew."""
        if self._tallies:
            taken = list(self._tallies.values())
            self._tallies = {}
            self._note(taken)
