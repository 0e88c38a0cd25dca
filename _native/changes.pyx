# cython: language_level=3, boundscheck=False, wraparound=False
"""What an update makes of the attributes of an entity, where all is plain.

Plain is a new attribute, or another value for one that exists, without update operators, options
and dates of unknown type. Whatever is not plain goes to the functions that the caller gives,
attribute by attribute: they own the rules. Nothing is changed here: `EntityChange` collects what
is to become, and `apply_to` does it at the end.
"""

cimport cython
from cpython.dict cimport (
    PyDict_Contains,
    PyDict_Copy,
    PyDict_DelItem,
    PyDict_GetItem,
    PyDict_Next,
    PyDict_SetItem,
    PyDict_Size,
    PyDict_Update,
)
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject, PyObject_RichCompareBool, Py_EQ
from cpython.set cimport PySet_Contains
from libc.string cimport memcmp

from _native.model cimport NO_METADATA, Attribute, AttributeUpdate, Entity, make_attribute

cdef extern from "Python.h":
    int Py_EnterRecursiveCall(const char *where) except -1
    void Py_LeaveRecursiveCall()
    bint PyUnicode_Check(object value)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    Py_UCS4 PyUnicode_READ_CHAR(object text, Py_ssize_t index)


cdef inline list appended(list items, object item):
    if items is None:
        return [item]
    items.append(item)
    return items


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class EntityChange:
    def __init__(self, dict former not None, *, bint is_replacement=False):
        self._former = former
        self._is_replacement = is_replacement

    cdef int put(
        self, str name, Attribute attribute, bint is_value_changed, bint is_metadata_changed
    ) except -1:
        if attribute is not None:
            if self._touched is None:
                self._touched = {}
            PyDict_SetItem(self._touched, name, attribute)
        if self._is_brief:
            return 0
        self._updated = appended(self._updated, name)
        if is_value_changed:
            self._changed_values = appended(self._changed_values, name)
        if is_metadata_changed:
            self._changed_metadata = appended(self._changed_metadata, name)
        return 0

    def note_update(
        self,
        str name not None,
        Attribute attribute,
        bint is_value_changed,
        bint is_metadata_changed,
    ):
        self.put(name, attribute, is_value_changed, is_metadata_changed)

    def note_removal(self, str name not None, bint is_metadata_changed):
        if self._removed is None:
            self._removed = {}
        self._removed[name] = <Attribute?>self._former[name]
        self.put(name, None, True, is_metadata_changed)

    def note_missing(self, str name not None):
        self._missing = appended(self._missing, name)

    def note_existing(self, str name not None):
        self._existing = appended(self._existing, name)

    @property
    def touched(self):
        if self._touched is None:
            self._touched = {}
        return self._touched

    @property
    def removed(self):
        if self._removed is None:
            self._removed = {}
        return self._removed

    @property
    def missing(self):
        return self._missing or []

    @property
    def existing(self):
        return self._existing or []

    @property
    def attributes(self):
        if self._attributes is None:
            if self._is_replacement:
                self._attributes = PyDict_Copy(self.touched)
            else:
                self._attributes = PyDict_Copy(self._former)
                self._change(self._attributes)
        return self._attributes

    cdef int _change(self, dict attributes) except -1:
        cdef Py_ssize_t position = 0
        cdef PyObject *name
        cdef PyObject *attribute
        if self._removed is not None:
            while PyDict_Next(self._removed, &position, &name, &attribute):
                PyDict_DelItem(attributes, <object>name)
        if self._touched is not None:
            position = 0
            while PyDict_Next(self._touched, &position, &name, &attribute):
                PyDict_SetItem(attributes, <object>name, <object>attribute)
        return 0

    cpdef int apply_to(self, Entity entity, double modified, long long size) except -1:
        if self._is_replacement or self._attributes is not None:
            entity.attributes = self.attributes
        else:
            self._change(entity.attributes)
        entity.modified = modified
        entity.size = size
        return 0

    cpdef bint concerns(self, frozenset types, str name, tuple names) except -1:
        cdef Py_ssize_t position = 0
        cdef PyObject *touched
        cdef PyObject *attribute
        if self._touched is not None:
            while PyDict_Next(self._touched, &position, &touched, &attribute):
                if PySet_Contains(types, (<Attribute>attribute).type):
                    return True
        if self._names(name):
            return True
        for other in names:
            if self._names(<str?>other):
                return True
        return False

    cdef bint _names(self, str name) except -1:
        return (self._touched is not None and PyDict_Contains(self._touched, name)) or (
            self._removed is not None and PyDict_Contains(self._removed, name)
        )

    def names(self, str name not None):
        return self._names(name)

    cdef bint changes_little(self) except -1:
        cdef Py_ssize_t changes = 0
        cdef Py_ssize_t attributes = PyDict_Size(self._former)
        cdef Py_ssize_t position = 0
        cdef PyObject *name
        cdef PyObject *attribute
        if self._is_replacement:
            return False
        if self._touched is not None:
            changes += PyDict_Size(self._touched)
            while PyDict_Next(self._touched, &position, &name, &attribute):
                if PyDict_GetItem(self._former, <object>name) == NULL:
                    attributes += 1
        if self._removed is not None:
            changes += PyDict_Size(self._removed)
            attributes -= PyDict_Size(self._removed)
        return 2 * changes <= attributes

    @property
    def is_minor(self):
        return self.changes_little()

    @property
    def is_complete(self):
        return self._missing is None and self._existing is None

    @property
    def is_stored(self):
        return self._touched is not None or self._removed is not None

    @property
    def is_update(self):
        return self._updated is not None

    @property
    def is_change(self):
        return self._changed_values is not None or self._changed_metadata is not None

    @property
    def updated(self):
        return frozenset(self._updated or ())

    @property
    def changed_values(self):
        return frozenset(self._changed_values or ())

    @property
    def changed_metadata(self):
        return frozenset(self._changed_metadata or ())

    @property
    def previous(self):
        self.keep_former()
        return self._previous

    @property
    def actions(self):
        self.keep_former()
        return self._actions

    cpdef int keep_former(self) except -1:
        """Note what is about to be gone."""
        cdef PyObject *former
        if self._previous is not None:
            return 0
        self._previous = {}
        self._actions = {}
        if self._updated is None:
            return 0
        for name in self._updated:
            former = PyDict_GetItem(self._former, name)
            if former != NULL:
                PyDict_SetItem(self._previous, name, <object>former)
            if self._removed is None or not PyDict_Contains(self._removed, name):
                PyDict_SetItem(self._actions, name, "append" if former == NULL else "update")
        return 0


@cython.final
cdef class UpdateRules:
    def __init__(
        self, *, create not None, merge not None, frozenset date_types not None
    ):
        self._create = create
        self._merge = merge
        self._date_types = date_types

    cpdef EntityChange compute(
        self,
        dict current,
        dict updates,
        bint creates,
        double now,
        object options=None,
        bint is_brief=False,
    ):
        cdef EntityChange change = EntityChange.__new__(EntityChange)
        cdef Py_ssize_t position = 0
        cdef PyObject *key
        cdef PyObject *content
        cdef PyObject *former
        cdef str name
        cdef AttributeUpdate update
        change._former = current
        change._is_brief = is_brief
        while PyDict_Next(updates, &position, &key, &content):
            name = <str>key
            update = <AttributeUpdate?>content
            former = PyDict_GetItem(current, name)
            if former != NULL:
                if options is not None or not self._merge_plainly(
                    change, name, <Attribute?>former, update, now
                ):
                    self._merge_as_defined(change, name, <object>former, update, options, now)
            elif creates:
                self._put_new(change, name, update, now)
            else:
                change._missing = appended(change._missing, name)
        return change

    cdef int _put_new(
        self, EntityChange change, str name, AttributeUpdate update, double now
    ) except -1:
        cdef Attribute attribute
        if update.type is None or maybe_operation(update.value):
            attribute = self._create(update, now)
        else:
            attribute = make_attribute(
                update.type, update.value, update.metadata or NO_METADATA, now, now
            )
        if attribute is not None:
            change.put(name, attribute, True, True)
        return 0

    cdef int _merge_as_defined(
        self,
        EntityChange change,
        str name,
        object former,
        AttributeUpdate update,
        object options,
        double now,
    ) except -1:
        cdef Attribute attribute
        cdef bint is_value_changed
        cdef bint is_metadata_changed
        attribute, is_value_changed, is_metadata_changed = self._merge(
            former, update, options, now
        )
        return change.put(name, attribute, is_value_changed, is_metadata_changed)

    cdef bint _merge_plainly(
        self,
        EntityChange change,
        str name,
        Attribute former,
        AttributeUpdate update,
        double now,
    ) except -1:
        """False if the update is not plain; nothing was noted then."""
        cdef str type_ = update.type
        cdef dict metadata = former.metadata
        cdef bint is_metadata_changed = False
        cdef bint is_value_changed
        if maybe_operation(update.value):
            return False
        if type_ is None:
            type_ = former.type
            if PySet_Contains(self._date_types, type_):
                return False
        if update.metadata is not None and not update.only_value:
            if PyDict_Size(update.metadata) == 0:
                return False
            metadata = merge_metadata(former.metadata, update.metadata)
            is_metadata_changed = metadata is not former.metadata
        is_value_changed = not (
            (type_ is former.type or type_ == former.type)
            and is_equal(update.value, former.value, 0)
        )
        if is_value_changed or is_metadata_changed:
            change.put(
                name,
                make_attribute(type_, update.value, metadata, former.created, now),
                is_value_changed,
                is_metadata_changed,
            )
        else:
            change.put(name, None, False, False)
        return True


cdef dict merge_metadata(dict current, dict given):
    """`current` itself when `given` (not empty) changes nothing."""
    cdef Py_ssize_t position = 0
    cdef PyObject *name
    cdef PyObject *item
    cdef PyObject *former
    cdef dict merged
    if PyDict_Size(current) == 0:
        return given
    while PyDict_Next(given, &position, &name, &item):
        former = PyDict_GetItem(current, <object>name)
        if former == NULL or not is_equal(<object>item, <object>former, 0):
            merged = PyDict_Copy(current)
            PyDict_Update(merged, given)
            return merged
    return current


cdef inline bint maybe_operation(object value) except -1:
    """Whether an update operator may be in it: these begin with a $."""
    cdef Py_ssize_t position = 0
    cdef PyObject *key
    cdef PyObject *content
    if type(value) is not dict or not PyDict_Next(value, &position, &key, &content):
        return False
    return PyUnicode_GET_LENGTH(<object>key) > 0 and PyUnicode_READ_CHAR(<object>key, 0) == u"$"


cdef bint is_equal(object a, object b, int depth) except -1:
    cdef double first
    cdef double second
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if type(a) is float:
        first = PyFloat_AS_DOUBLE(a)
        second = PyFloat_AS_DOUBLE(b)
        # Within an object or array, zeros of different sign are different texts.
        return first == second and (depth == 0 or memcmp(&first, &second, sizeof(double)) == 0)
    if type(a) is dict:
        Py_EnterRecursiveCall(b" while comparing JSON values")
        try:
            return are_equal_objects(a, b, depth + 1)
        finally:
            Py_LeaveRecursiveCall()
    if type(a) is list:
        Py_EnterRecursiveCall(b" while comparing JSON values")
        try:
            return are_equal_arrays(a, b, depth + 1)
        finally:
            Py_LeaveRecursiveCall()
    return PyObject_RichCompareBool(a, b, Py_EQ)


cdef bint are_equal_objects(dict a, dict b, int depth) except -1:
    cdef Py_ssize_t position = 0
    cdef PyObject *name
    cdef PyObject *member
    cdef PyObject *other
    if PyDict_Size(a) != PyDict_Size(b):
        return False
    while PyDict_Next(a, &position, &name, &member):
        other = PyDict_GetItem(b, <object>name)
        if other == NULL or not is_equal(<object>member, <object>other, depth):
            return False
    return True


cdef bint are_equal_arrays(list a, list b, int depth) except -1:
    cdef Py_ssize_t index
    if PyList_GET_SIZE(a) != PyList_GET_SIZE(b):
        return False
    for index in range(PyList_GET_SIZE(a)):
        if not is_equal(
            <object>PyList_GET_ITEM(a, index), <object>PyList_GET_ITEM(b, index), depth
        ):
            return False
    return True


def equal_values(a, b):
    return is_equal(a, b, 0)
