from _native.changes cimport EntityChange, UpdateRules
from _native.model cimport EntityUpdate
from _native.ticks cimport TickRecords


cdef class UpdateKernel:
    cdef UpdateRules _rules
    cdef frozenset _place_types
    cdef str _expiry
    cdef TickRecords _journal
    cdef object _clock
    cdef size_t _max_document
    cdef long long _max_size

    cdef EntityChange do_update(
        self,
        dict entities,
        str tenant,
        str service_path,
        EntityUpdate update,
        bint creates,
        bint keeps_former,
        dict apart,
    )
