# JSON text that grows, and strings of Python written into it; see `json_text.hpp`.

from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool

cdef extern from "json_text.hpp" namespace "rigel" nogil:
    cdef cppclass JsonText:
        const char *data()
        size_t size()
        void raw(const char *text, size_t length) except +
        void character(char c) except +
        void end_members()
        void integer(int64_t value) except +
        void unsigned_integer(uint64_t value) except +
        void real(double value) except +
        cbool string[Unit](const Unit *text, size_t length) except +

cdef extern from "Python.h":
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    int PyUnicode_KIND(object text)
    const void *PyUnicode_DATA(object text)


cdef inline int write_string(JsonText &text, str value) except -1:
    cdef size_t length = <size_t>PyUnicode_GET_LENGTH(value)
    cdef int kind = PyUnicode_KIND(value)
    cdef const void *data = PyUnicode_DATA(value)
    cdef cbool is_whole
    if kind == 1:
        is_whole = text.string(<const uint8_t *>data, length)
    elif kind == 2:
        is_whole = text.string(<const uint16_t *>data, length)
    else:
        is_whole = text.string(<const uint32_t *>data, length)
    if not is_whole:
        raise ValueError("a surrogate cannot be encoded")
    return 0
