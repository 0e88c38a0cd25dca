from libc.stdint cimport uint32_t

from _native.matching cimport Index


cdef class Place:
    cdef uint32_t path
    cdef object metadata  # name, or None
    cdef tuple steps  # of (key, index or -1)


cdef class Name:
    cdef uint32_t path  # of the whole value, 0 for none
    cdef list places  # of Place, or None


cdef class PropertyPaths:
    cdef Index *index
    cdef dict names  # text -> Name
    cdef dict places  # (name, metadata, path) -> Place
    cdef list owners  # by path: name, or key of places

    cdef uint32_t path_of(self, str name) except 0
    cdef uint32_t place_of(self, str name, object metadata, tuple path) except 0
    cdef Name name_of(self, str name)
    cdef int own(self, uint32_t path, object owner) except -1
    cdef int forget_released(self) except -1
    cdef int check(self) except -1


cdef list descend(object value, tuple steps)
