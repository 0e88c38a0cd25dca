from _native.model cimport Attribute, AttributeUpdate, Entity


cdef class EntityChange:
    cdef dict _former
    cdef dict _attributes  # the whole that is to become, made when asked for
    cdef bint _is_replacement
    cdef bint _is_brief  # what happened to which attribute is not noted
    # None for an empty one: most stay empty, and making them would be a third of the work.
    cdef dict _touched
    cdef dict _removed
    cdef list _missing
    cdef list _existing
    cdef list _updated
    cdef list _changed_values
    cdef list _changed_metadata

    # What was before, made when asked for.
    cdef dict _previous
    cdef dict _actions

    cdef int put(
        self, str name, Attribute attribute, bint is_value_changed, bint is_metadata_changed
    ) except -1
    cdef int _change(self, dict attributes) except -1
    cdef bint _names(self, str name) except -1
    cpdef int keep_former(self) except -1
    cdef bint changes_little(self) except -1
    cpdef bint concerns(self, frozenset types, str name, tuple names) except -1
    cpdef int apply_to(self, Entity entity, double modified, long long size) except -1


cdef class UpdateRules:
    cdef object _create
    cdef object _merge
    cdef frozenset _date_types

    cpdef EntityChange compute(
        self,
        dict current,
        dict updates,
        bint creates,
        double now,
        object options=*,
        bint is_brief=*,
    )
    cdef int _put_new(
        self, EntityChange change, str name, AttributeUpdate update, double now
    ) except -1
    cdef int _merge_as_defined(
        self,
        EntityChange change,
        str name,
        object former,
        AttributeUpdate update,
        object options,
        double now,
    ) except -1
    cdef bint _merge_plainly(
        self,
        EntityChange change,
        str name,
        Attribute former,
        AttributeUpdate update,
        double now,
    ) except -1
