from _native.model cimport Entity


cdef class EntityEvent:
    cdef readonly Entity entity
    cdef readonly dict attributes
    cdef readonly object alteration
    cdef readonly frozenset updated
    cdef readonly frozenset changed_values
    cdef readonly frozenset changed_metadata
    cdef readonly dict previous
    cdef readonly dict actions
