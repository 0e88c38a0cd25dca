from _native.events cimport EntityEvent
from _native.model cimport Entity


cdef class EntityEncoder:
    cdef object _builtin_attribute
    cdef object _shown_value
    cdef object _default_type
    cdef str _default_entity_type
    cdef frozenset _builtins
    cdef str _hidden
    cdef str _place_type

    cpdef bytes encode(
        self,
        Entity entity,
        EntityEvent event,
        tuple wanted,
        frozenset excluded,
        bint is_normalized,
    )
