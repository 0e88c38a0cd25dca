# distutils: language = c++
# distutils: extra_compile_args = -std=c++17
# cython: language_level=3, boundscheck=False, wraparound=False
"""An ordinary update of an entity, from the look-up to the journal, in one call.

Ordinary is what most updates are: of the one entity of that id, changing or adding attributes
that are no locations and no expiry. `broker.engine` is the definition for all updates; here the
parts of it that are native are called one after the other without Python in between. What is
not ordinary is left to the engine, untouched.
"""

cimport cython
from cpython.dict cimport PyDict_Contains, PyDict_GetItem, PyDict_Next, PyDict_Size
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject

from _native.changes cimport EntityChange, UpdateRules
from _native.model cimport Entity, EntityUpdate
from _native.records cimport JsonText, write_change, write_changed_entity, write_key
from _native.ticks cimport PATCH, PUT, TickRecords


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
    def __init__(
        self,
        *,
        UpdateRules rules not None,
        frozenset place_types not None,
        str expiry not None,
        TickRecords journal not None,
        clock not None,
        size_t max_document,
        long long max_size,
    ):
        self._rules = rules
        self._place_types = place_types
        self._expiry = expiry
        self._journal = journal
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
        return self.do_update(
            entities, tenant, service_path, update, creates, keeps_former, apart
        )

    def update_all(
        self,
        dict entities not None,
        str tenant not None,
        str service_path not None,
        list updates not None,
        Py_ssize_t first,
        bint creates,
        dict apart not None,
    ):
        cdef Py_ssize_t index = first
        try:
            while index < PyList_GET_SIZE(updates):
                if self.do_update(
                    entities,
                    tenant,
                    service_path,
                    <EntityUpdate?>(<object>PyList_GET_ITEM(updates, index)),
                    creates,
                    False,
                    apart,
                ) is None:
                    break
                index += 1
        except Exception:
            pass  # whoever does this one meets the same
        return index

    cdef EntityChange do_update(
        self,
        dict entities,
        str tenant,
        str service_path,
        EntityUpdate update,
        bint creates,
        bint keeps_former,
        dict apart,
    ):
        cdef PyObject *found = PyDict_GetItem(entities, update.id)
        cdef Entity entity
        cdef EntityChange change
        cdef JsonText text  # the key, then the document
        cdef size_t key_length
        cdef size_t length
        cdef long long size
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
        self._journal.reserve_usual()
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
        write_key(text, tenant, entity)
        key_length = text.size()
        is_patch = change.changes_little()
        if is_patch:
            write_change(text, change, entity.locations, now)
        else:
            write_changed_entity(text, entity, change, entity.locations, now)
        length = text.size() - key_length
        size = <long long>length
        if is_patch:
            size += entity.size
        if length > self._max_document or size > self._max_size:
            return None
        # Nothing was changed so far, and nothing fails from here on.
        change.apply_to(entity, now, size)
        self._journal.append(
            PATCH if is_patch else PUT,
            text.data(),
            <Py_ssize_t>key_length,
            text.data() + key_length,
            <Py_ssize_t>length,
        )
        return change
