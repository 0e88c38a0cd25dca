# distutils: language = c++
# distutils: extra_compile_args = -std=c++17
# cython: language_level=3, boundscheck=False, wraparound=False
"""The journal's records of entities: keys and JSON documents.

`broker.records` is their door and has the layout. They are written in one pass over the objects,
without documents in between.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItem, PyDict_Next
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint16_t, uint32_t
from libcpp cimport bool as cbool

from _native.changes cimport EntityChange
from _native.model cimport Attribute, Entity

cdef extern from "Python.h":
    int Py_EnterRecursiveCall(const char *where) except -1
    void Py_LeaveRecursiveCall()
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object value) except? <unsigned long long>-1
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    int PyUnicode_KIND(object text)
    const void *PyUnicode_DATA(object text)
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except NULL

cdef char SEPARATOR = 0x1F


cdef int write_string(JsonText &text, str value) except -1:
    cdef size_t length = <size_t>PyUnicode_GET_LENGTH(value)
    cdef int kind = PyUnicode_KIND(value)
    cdef const void *data = PyUnicode_DATA(value)
    cdef cbool is_whole
    if kind == 1:
        is_whole = text.string(<const uint8_t *>data, length)
    elif kind == 2:
        is_whole = text.string(<const uint16_t *>data, length)
    else:
        is_whole = text.string(<const uint32_t *>data, length)
    if not is_whole:
        raise ValueError("a surrogate cannot be encoded")
    return 0


cdef int write_value(JsonText &text, object value) except -1:
    cdef long long number
    cdef int overflow
    if type(value) is str:
        write_string(text, <str>value)
    elif value is None:
        text.raw(b"null", 4)
    elif value is True:
        text.raw(b"true", 4)
    elif value is False:
        text.raw(b"false", 5)
    elif type(value) is int:
        number = PyLong_AsLongLongAndOverflow(value, &overflow)
        if overflow == 0:
            text.integer(number)
        else:
            text.unsigned_integer(PyLong_AsUnsignedLongLong(value))
    elif type(value) is float:
        text.real(PyFloat_AS_DOUBLE(value))
    elif type(value) is dict:
        Py_EnterRecursiveCall(b" while encoding JSON")
        try:
            write_object(text, <dict>value)
        finally:
            Py_LeaveRecursiveCall()
    elif type(value) is list:
        Py_EnterRecursiveCall(b" while encoding JSON")
        try:
            write_array(text, <list>value)
        finally:
            Py_LeaveRecursiveCall()
    else:
        raise TypeError(f"{type(value).__name__} is no JSON value")
    return 0


cdef int write_object(JsonText &text, dict value) except -1:
    cdef Py_ssize_t position = 0
    cdef PyObject *name
    cdef PyObject *member
    cdef bint is_first = True
    text.character(b"{")
    while PyDict_Next(value, &position, &name, &member):
        if not is_first:
            text.character(b",")
        is_first = False
        write_string(text, <str?>(<object>name))
        text.character(b":")
        write_value(text, <object>member)
    text.character(b"}")
    return 0


cdef int write_array(JsonText &text, list value) except -1:
    cdef Py_ssize_t index
    text.character(b"[")
    for index in range(PyList_GET_SIZE(value)):
        if index:
            text.character(b",")
        write_value(text, <object>PyList_GET_ITEM(value, index))
    text.character(b"]")
    return 0


cdef int write_attribute(JsonText &text, str name, Attribute attribute) except -1:
    """A member of "a", and the comma before what follows."""
    write_string(text, name)
    text.raw(b":[", 2)
    write_string(text, attribute.type)
    text.character(b",")
    write_value(text, attribute.value)
    text.character(b",")
    write_object(text, attribute.metadata)
    text.character(b",")
    text.real(attribute.created)
    text.character(b",")
    text.real(attribute.modified)
    text.raw(b"],", 2)
    return 0


cdef int write_attributes(
    JsonText &text, dict attributes, dict instead=None, dict without=None
) except -1:
    """Members of "a": the attributes but those `without`, some of them by others `instead`."""
    cdef Py_ssize_t position = 0
    cdef PyObject *name
    cdef PyObject *attribute
    cdef PyObject *other
    while PyDict_Next(attributes, &position, &name, &attribute):
        if without is not None and PyDict_GetItem(without, <object>name) != NULL:
            continue
        if instead is not None:
            other = PyDict_GetItem(instead, <object>name)
            if other != NULL:
                attribute = other
        write_attribute(text, <str?>(<object>name), <Attribute?>(<object>attribute))
    return 0


cdef int write_head(JsonText &text, Entity entity, object locations, double modified) except -1:
    text.raw(b'{"s":', 5)
    text.integer(entity.sequence)
    text.raw(b',"c":', 5)
    text.real(entity.created)
    text.raw(b',"m":', 5)
    text.real(modified)
    text.raw(b',"l":', 5)
    write_names(text, locations)
    text.raw(b',"a":{', 6)
    return 0


cdef int end(JsonText &text) except -1:
    """Ends "a" and the document."""
    text.end_members()
    text.raw(b"}}", 2)
    return 0


cdef bytes to_bytes(JsonText &text):
    return PyBytes_FromStringAndSize(text.data(), <Py_ssize_t>text.size())


cdef int write_names(JsonText &text, object names) except -1:
    """The names of the locations: null, one name, or an array of several."""
    cdef list several
    if not names:
        text.raw(b"null", 4)
        return 0
    several = list(names)
    write_value(text, several[0] if len(several) == 1 else several)
    return 0


def encode_entity(
    Entity entity not None, dict attributes not None, object locations, double modified
):
    cdef JsonText text
    write_head(text, entity, locations, modified)
    write_attributes(text, attributes)
    end(text)
    return to_bytes(text)


def encode_changed_entity(
    Entity entity not None, EntityChange change not None, object locations, double modified
):
    cdef JsonText text
    write_changed_entity(text, entity, change, locations, modified)
    return to_bytes(text)


cdef int write_changed_entity(
    JsonText &text, Entity entity, EntityChange change, object locations, double modified
) except -1:
    cdef Py_ssize_t position = 0
    cdef PyObject *name
    cdef PyObject *attribute
    write_head(text, entity, locations, modified)
    if not change._is_replacement:
        write_attributes(text, change._former, change._touched, change._removed)
    if change._touched is not None:
        while PyDict_Next(change._touched, &position, &name, &attribute):
            if (
                change._is_replacement
                or PyDict_GetItem(change._former, <object>name) == NULL
            ):
                write_attribute(text, <str?>(<object>name), <Attribute?>(<object>attribute))
    return end(text)


def encode_change(EntityChange change not None, object locations, double modified):
    cdef JsonText text
    write_change(text, change, locations, modified)
    return to_bytes(text)


cdef int write_change(
    JsonText &text, EntityChange change, object locations, double modified
) except -1:
    text.raw(b'{"m":', 5)
    text.real(modified)
    text.raw(b',"l":', 5)
    write_names(text, locations)
    text.raw(b',"a":{', 6)
    if change._touched is not None:
        write_attributes(text, change._touched)
    if change._removed is not None:
        for name in change._removed:
            write_string(text, <str?>name)
            text.raw(b":null,", 6)
    return end(text)


def entity_key(str tenant not None, Entity entity not None):
    cdef JsonText text
    write_key(text, tenant, entity)
    return to_bytes(text)


cdef int write_key(JsonText &text, str tenant, Entity entity) except -1:
    text.character(b"e")
    write_part(text, tenant)
    write_part(text, entity.service_path)
    write_part(text, entity.id)
    return write_part(text, entity.type)


cdef int write_part(JsonText &text, str part) except -1:
    cdef Py_ssize_t length
    # No copy for identifiers, which are ASCII.
    cdef const char *utf8 = PyUnicode_AsUTF8AndSize(part, &length)
    text.character(SEPARATOR)
    text.raw(utf8, <size_t>length)
    return 0
