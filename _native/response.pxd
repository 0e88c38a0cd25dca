cdef enum State:
    AT_STATUS_LINE
    AT_HEADERS
    IN_BODY  # of a known length
    IN_ENDLESS_BODY  # until the connection ends
    AT_CHUNK_SIZE
    IN_CHUNK
    AFTER_CHUNK
    AT_TRAILERS
    COMPLETE
    BROKEN


cdef enum Coding:
    # What Transfer-Encoding says so far.
    NONE_GIVEN
    SOME_OTHER
    CHUNKED
    UNCERTAIN  # something after "chunked": nobody knows where the body ends


cdef struct Text:
    const char *start
    Py_ssize_t size


cdef class ResponseParser:
    cdef State state
    cdef Coding coding
    cdef readonly int status
    cdef readonly bint keep_alive
    cdef readonly bytes location
    cdef readonly long long received
    cdef bint answers_head
    cdef bint is_old  # HTTP/1.0
    cdef bint has_length
    cdef bint says_close
    cdef bint says_keep_alive
    cdef bint may_fold  # the last header is of no meaning here, and so is what continues it
    cdef long long left  # bytes of the body or chunk that are still to come
    cdef Py_ssize_t head_bytes
    cdef bytes line  # the beginning of a line that is not complete
    cdef bytes first_part
    cdef list parts  # all parts of the body that are kept, if there are several
    cdef Py_ssize_t kept
    cdef Py_ssize_t line_max
    cdef Py_ssize_t head_max
    cdef Py_ssize_t body_max

    cpdef begin(self, bint answers_head=*)
    cpdef bint feed(self, bytes data) except -1
    cpdef bint feed_eof(self) except -1
    cdef void _begin_head(self)
    cdef bytes take_body(self)
    cdef int _fail(self, str fault) except -1
    cdef const char *_take_body(self, bytes data, const char *p, const char *end) except NULL
    cdef int _keep(self, bytes data, const char *p, Py_ssize_t size) except -1
    cdef const char *_take_line(self, const char *p, const char *end) except NULL
    cdef int _check_name(self, const char *p, Py_ssize_t size) except -1
    cdef int _take_whole_line(self, const char *p, Py_ssize_t size) except -1
    cdef int _take_status_line(self, const char *p, Py_ssize_t size) except -1
    cdef int _take_header(self, const char *p, Py_ssize_t size) except -1
    cdef int _take_length(self, Text value) except -1
    cdef void _take_codings(self, Text value) noexcept
    cdef void _take_options(self, Text value) noexcept
    cdef void _end_head(self) noexcept
    cdef int _take_chunk_size(self, const char *p, Py_ssize_t size) except -1
