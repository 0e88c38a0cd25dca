cpdef bytes compose_request(str method, bytes target, bytes host, dict headers, bytes body)
cpdef Py_ssize_t measure_headers(dict headers) except -1
cdef char *put(char *at, const char *source, Py_ssize_t size) noexcept nogil
cdef char *put_length(char *at, Py_ssize_t length) noexcept nogil
