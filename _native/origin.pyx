# cython: language_level=3
"""Who asks: `broker.origin` is the door and says what it means."""

cimport cython


@cython.freelist(64)
cdef class Origin:
    def __init__(
        self,
        str tenant not None="",
        scope=None,
        str correlator not None="",
        str auth_token not None="",
        str service_header not None="",
    ):
        self.tenant = tenant
        self.scope = self.everywhere if scope is None else scope
        self.correlator = correlator
        self.auth_token = auth_token
        self.service_header = service_header
