from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libcpp cimport bool as cbool

from _native.changes cimport EntityChange
from _native.model cimport Entity

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


cdef int write_string(JsonText &text, str value) except -1
cdef int write_value(JsonText &text, object value) except -1
cdef int write_object(JsonText &text, dict value) except -1
cdef int write_key(JsonText &text, str tenant, Entity entity) except -1
cdef int write_change(
    JsonText &text, EntityChange change, object locations, double modified
) except -1
cdef int write_changed_entity(
    JsonText &text, Entity entity, EntityChange change, object locations, double modified
) except -1
