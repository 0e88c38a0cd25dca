cdef class Heading:
    cdef readonly object location
    cdef readonly str method
    cdef readonly str service
    cdef readonly str service_path
    cdef readonly str token
    cdef dict _before  # the header fields before Fiware-Correlator
    cdef str _attrs_format
    cdef Py_ssize_t _size  # of all header fields but for the value of Fiware-Correlator
    cdef bytes _start  # of a request, up to that value
    cdef bytes _end  # from behind it to the value of Content-Length

    cdef dict headers(self, str correlator)
    cdef bytes request(self, str correlator, bytes body)


cdef class Notification:
    cdef public str subscription_id
    cdef public str tenant
    cdef str _url
    cdef public str method
    cdef public bytes body
    cdef public double timeout_s
    cdef public object order_key
    cdef public object on_result
    cdef public object tell
    cdef public Py_ssize_t size_bytes
    cdef public object location
    cdef dict _headers  # None: as of the heading
    cdef Heading _heading
    cdef str _correlator

    cdef dict get_headers(self)
    cdef Py_ssize_t measure(self) except -1
    cdef bytes request(self)
    cdef str service_of(self)
    cdef str service_path_of(self)


cdef Notification make_notification(
    str subscription_id,
    str tenant,
    str url,
    Heading heading,
    str correlator,
    bytes body,
    double timeout_s,
    object order_key,
    object on_result,
)
