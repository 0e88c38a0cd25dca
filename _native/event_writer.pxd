from libc.stdint cimport uint8_t, uint32_t

from _native.matching cimport Event, Index, string_view
from _native.property_paths cimport Name, PropertyPaths


cdef class EventWriter:
    cdef Index *index
    cdef PropertyPaths paths
    cdef object date_types
    cdef object seconds_of

    cdef int write_event(self, Event &written, object event, int alteration, object positions,
                         object boxes, object id_patterns, object type_patterns,
                         list kept) except -1
    cdef int write_scopes(self, Event &written, str path, list kept) except -1
    cdef void write_scope(self, Event &written, string_view text, bint is_open) noexcept
    cdef uint8_t write_names(self, Event &written, object names, uint8_t set) except? 255
    cdef int write_attributes(self, Event &written, dict attributes, list kept) except -1
    cdef int write_attribute(self, Event &written, Name name, object attribute,
                             list kept) except -1
    cdef int write_value(self, Event &written, uint32_t path, object value, object value_type,
                         list kept) except -1
    cdef int write_all(self, Event &written, uint32_t path, list values, list kept) except -1
    cdef bint write_scalar(self, Event &written, uint32_t path, object value,
                           list kept) except -1
    cdef int write_nothing(self, Event &written, uint32_t path) except -1
    cdef int write_text(self, Event &written, uint32_t path, str text, bint is_dated,
                        list kept) except -1
