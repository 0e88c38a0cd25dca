# cython: language_level=3, boundscheck=False, wraparound=False
"""An ordinary update of an entity, from the look-up to the journal, in one call.

Ordinary is what most updates are: of the one entity of that id, changing or adding attributes
that are no locations and no expiry. `broker.engine` is the definition for all updates; here the
parts of it that are native are called one after the other without Python in between. What is
not ordinary is left to the engine, untouched.
"""

cimport cython
from cpython.bytes cimport PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Contains, PyDict_GetItem, PyDict_Next, PyDict_Size
from cpython.object cimport PyObject

from _native.changes cimport EntityChange, UpdateRules
from _native.model cimport Entity, EntityUpdate
from _native.records cimport encode_change, encode_changed_entity, entity_key


cdef bint has_all(dict attributes, dict updates) except -1:
    cdef Py_ssize_t position = 0
    cdef PyObject *name
    cdef PyObject *update
    while PyDict_Next(updates, &position, &name, &update):
        if not PyDict_Contains(attributes, <object>name):
            return False
    return True


@cython.final
cdef class UpdateKernel:
    cdef UpdateRules _rules
    cdef frozenset _place_types
    cdef str _expiry
    cdef object _admit
    cdef object _put
    cdef object _patch
    cdef object _clock
    cdef Py_ssize_t _max_document
    cdef Py_ssize_t _max_size

    def __init__(
        self,
        *,
        UpdateRules rules not None,
        frozenset place_types not None,
        str expiry not None,
        journal not None,
        clock not None,
        Py_ssize_t max_document,
        Py_ssize_t max_size,
    ):
        self._rules = rules
        self._place_types = place_types
        self._expiry = expiry
        self._admit = journal.admit
        self._put = journal.put
        self._patch = journal.patch
        self._clock = clock
        self._max_document = max_document
        self._max_size = max_size

    def update(
        self,
        dict entities not None,
        str tenant not None,
        str service_path not None,
        EntityUpdate update not None,
        bint creates,
        bint keeps_former,
        dict apart not None,
    ):
        cdef PyObject *found = PyDict_GetItem(entities, update.id)
        cdef Entity entity
        cdef EntityChange change
        cdef bytes document
        cdef Py_ssize_t size
        cdef bint is_patch
        cdef double now
        if found == NULL or type(<object>found) is not Entity:
            return None
        entity = <Entity>found
        if entity.service_path != service_path or (
            update.type is not None and entity.type != update.type
        ):
            return None
        # The engine says what it thinks of missing attributes before it looks at the journal.
        if not creates and not has_all(entity.attributes, update.attributes):
            return None
        self._admit()
        now = self._clock()
        change = self._rules.compute(
            entity.attributes, update.attributes, creates, now, None, not keeps_former
        )
        if keeps_former:
            change.keep_former()
        if change._touched is None:
            return change
        if PyDict_Size(apart) != 0:
            for name in change._touched:
                if PyDict_Contains(apart, name):
                    return None
        if change.concerns(self._place_types, self._expiry, entity.locations):
            return None
        is_patch = change.changes_little()
        if is_patch:
            document = encode_change(change, entity.locations, now)
            size = entity.size + PyBytes_GET_SIZE(document)
        else:
            document = encode_changed_entity(entity, change, entity.locations, now)
            size = PyBytes_GET_SIZE(document)
        if PyBytes_GET_SIZE(document) > self._max_document or size > self._max_size:
            return None
        # Nothing was changed so far, and nothing fails from here on.
        change.apply_to(entity, now, size)
        if is_patch:
            self._patch(entity_key(tenant, entity), document)
        else:
            self._put(entity_key(tenant, entity), document)
        return change
