# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
"""JSON documents of entities to updates, where all is plain.

Plain is what most documents are made of: attributes with type, value and metadata of valid
names and types, whose type has no meaning of its own. It is decoded in one pass over the parsed
document. Whatever is not plain, correct or not, goes to the functions that the decoder was
given, attribute by attribute: they own the rules and the errors. So nothing here raises an error
of its own.
"""

cimport cython
from cpython.dict cimport PyDict_Contains, PyDict_GetItem, PyDict_Next, PyDict_SetItem
from cpython.float cimport PyFloat_AS_DOUBLE
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from cpython.set cimport PySet_Contains
from libc.math cimport fabs
from libc.string cimport memcmp

from _native.model cimport (
    AttributeUpdate,
    EntityUpdate,
    make_attribute_update,
    make_entity_update,
)

cdef extern from "Python.h":
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    int PyUnicode_KIND(object text)
    const void *PyUnicode_DATA(object text)
    Py_UCS4 PyUnicode_READ(int kind, const void *data, Py_ssize_t index)
    void PyUnicode_InternInPlace(PyObject **text)

cdef enum:
    ASCII = 128

# Beyond this a double no longer holds every integer.
cdef double EXACT_INTEGERS = 9007199254740992.0

cdef object NOT_PLAIN = object()


cdef str intern(str text):
    cdef PyObject *reference = <PyObject *>text
    cdef str interned
    Py_INCREF(text)
    PyUnicode_InternInPlace(&reference)
    interned = <str>reference
    Py_XDECREF(reference)
    return interned


cdef bint is_literal(str text, const char *literal, Py_ssize_t length) noexcept:
    return (
        PyUnicode_GET_LENGTH(text) == length
        and PyUnicode_IS_COMPACT_ASCII(text)
        and memcmp(PyUnicode_DATA(text), literal, <size_t>length) == 0
    )


@cython.final
cdef class PlainDecoder:
    def __init__(
        self,
        *,
        decode_member not None,
        dict default_types not None,
        frozenset special_types not None,
        frozenset special_names not None,
        frozenset special_metadata not None,
        is_identifier not None,
        has_forbidden not None,
        Py_ssize_t max_length,
        int max_nesting,
    ):
        cdef int code
        self._decode_member = decode_member
        self._default_types = default_types
        self._special_types = special_types
        self._special_names = special_names
        self._special_metadata = special_metadata
        self._max_length = max_length
        self._max_nesting = max_nesting
        for code in range(ASCII):
            self._in_identifier[code] = is_identifier(chr(code))
            self._is_forbidden[code] = has_forbidden(chr(code))

    def decode_attributes(self, dict document not None, bint key_values):
        return self._attributes(document, key_values)

    def decode_entity(self, object document, bint key_values):
        cdef PyObject *entity_id
        cdef PyObject *entity_type
        cdef str type_ = None
        if type(document) is not dict:
            return None
        entity_id = PyDict_GetItem(document, "id")
        if (
            entity_id == NULL
            or type(<object>entity_id) is not str
            or not self._is_identifier(<str>entity_id)
            or PyDict_Contains(document, "idPattern")
            or PyDict_Contains(document, "typePattern")
        ):
            return None
        entity_type = PyDict_GetItem(document, "type")
        if entity_type != NULL:
            if type(<object>entity_type) is not str or not self._is_identifier(<str>entity_type):
                return None
            type_ = intern(<str>entity_type)
        return make_entity_update(<str>entity_id, type_, self._attributes(document, key_values))

    cdef dict _attributes(self, dict document, bint key_values):
        cdef dict attributes = {}
        cdef Py_ssize_t position = 0
        cdef PyObject *key
        cdef PyObject *content
        cdef str name
        cdef object member
        cdef AttributeUpdate update
        while PyDict_Next(document, &position, &key, &content):
            name = <str>key
            if is_literal(name, b"id", 2) or is_literal(name, b"type", 4):
                continue
            member = <object>content
            update = None
            if self._is_identifier(name):
                name = intern(name)
                if key_values:
                    update = self._key_value(member)
                elif type(member) is dict and not PySet_Contains(self._special_names, name):
                    update = self._attribute(<dict>member)
            if update is None:
                update = <AttributeUpdate?>self._decode_member(name, member, key_values)
            PyDict_SetItem(attributes, name, update)
        return attributes

    cdef AttributeUpdate _key_value(self, object value):
        """None if it is not plain; so do the next three."""
        cdef PyObject *default = PyDict_GetItem(self._default_types, type(value))
        if default == NULL:
            return None
        value = self._normal(value, False, 0)
        if value is NOT_PLAIN:
            return None
        return make_attribute_update(<str>default, value, None)

    cdef AttributeUpdate _attribute(self, dict document):
        cdef Py_ssize_t position = 0
        cdef PyObject *key
        cdef PyObject *content
        cdef PyObject *default
        cdef str field
        cdef str type_ = None
        cdef object value = None
        cdef dict metadata = None
        while PyDict_Next(document, &position, &key, &content):
            field = <str>key
            if is_literal(field, b"value", 5):
                value = <object>content
            elif is_literal(field, b"type", 4):
                type_ = self._type(<object>content)
                if type_ is None:
                    return None
            elif is_literal(field, b"metadata", 8):
                metadata = self._metadata(<object>content)
                if metadata is None:
                    return None
            else:
                return None
        if type_ is None:
            default = PyDict_GetItem(self._default_types, type(value))
            if default == NULL:
                return None
            type_ = <str>default
        value = self._normal(value, False, 0)
        if value is NOT_PLAIN:
            return None
        return make_attribute_update(type_, value, metadata)

    cdef dict _metadata(self, object document):
        cdef dict metadata
        cdef Py_ssize_t position = 0
        cdef PyObject *key
        cdef PyObject *content
        cdef str name
        cdef dict item
        if type(document) is not dict:
            return None
        metadata = {}
        while PyDict_Next(document, &position, &key, &content):
            name = <str>key
            if type(<object>content) is not dict or not self._is_identifier(name):
                return None
            name = intern(name)
            if PySet_Contains(self._special_metadata, name):
                return None
            item = self._metadata_item(<dict>content)
            if item is None:
                return None
            PyDict_SetItem(metadata, name, item)
        return metadata

    cdef dict _metadata_item(self, dict document):
        cdef Py_ssize_t position = 0
        cdef PyObject *key
        cdef PyObject *content
        cdef PyObject *default
        cdef str field
        cdef str type_ = None
        cdef object value = None
        while PyDict_Next(document, &position, &key, &content):
            field = <str>key
            if is_literal(field, b"value", 5):
                value = <object>content
            elif is_literal(field, b"type", 4):
                type_ = self._type(<object>content)
                if type_ is None:
                    return None
            else:
                return None
        if type_ is None:
            default = PyDict_GetItem(self._default_types, type(value))
            if default == NULL:
                return None
            type_ = <str>default
        # In metadata only a text itself is looked at, not those within an object or array.
        value = self._normal(value, type(value) is not str, 0)
        if value is NOT_PLAIN:
            return None
        return {"type": type_, "value": value}

    cdef str _type(self, object content):
        """The type, interned; None if it is no plain one."""
        cdef str type_
        if type(content) is not str or not self._is_identifier(<str>content):
            return None
        type_ = intern(<str>content)
        return None if PySet_Contains(self._special_types, type_) else type_

    cdef bint _is_identifier(self, str text) noexcept:
        cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
        cdef const unsigned char *data
        cdef Py_ssize_t index
        if length == 0 or length > self._max_length or not PyUnicode_IS_COMPACT_ASCII(text):
            return False
        data = <const unsigned char *>PyUnicode_DATA(text)
        for index in range(length):
            if not self._in_identifier[data[index]]:
                return False
        return True

    cdef bint _has_forbidden(self, str text) noexcept:
        """No character beyond ASCII is forbidden."""
        cdef Py_ssize_t length = PyUnicode_GET_LENGTH(text)
        cdef int kind = PyUnicode_KIND(text)
        cdef const void *data = PyUnicode_DATA(text)
        cdef Py_ssize_t index
        cdef Py_UCS4 character
        if PyUnicode_IS_COMPACT_ASCII(text):
            for index in range(length):
                if self._is_forbidden[(<const unsigned char *>data)[index]]:
                    return True
            return False
        for index in range(length):
            character = PyUnicode_READ(kind, data, index)
            if character < ASCII and self._is_forbidden[character]:
                return True
        return False

    cdef object _normal(self, object value, bint unrestricted, int depth):
        """The value in the model's normal form: itself where it is so, NOT_PLAIN for an error."""
        cdef double number
        if type(value) is str:
            return NOT_PLAIN if not unrestricted and self._has_forbidden(<str>value) else value
        if type(value) is float:
            number = PyFloat_AS_DOUBLE(value)
            if fabs(number) <= EXACT_INTEGERS and number == <double><long long>number:
                return <long long>number
            return value
        if type(value) is dict:
            return NOT_PLAIN if depth > self._max_nesting else self._normal_object(
                <dict>value, unrestricted, depth
            )
        if type(value) is list:
            return NOT_PLAIN if depth > self._max_nesting else self._normal_array(
                <list>value, unrestricted, depth
            )
        return value

    cdef object _normal_object(self, dict value, bint unrestricted, int depth):
        cdef dict copy = None
        cdef Py_ssize_t position = 0
        cdef PyObject *key
        cdef PyObject *content
        cdef object member
        while PyDict_Next(value, &position, &key, &content):
            member = self._normal(<object>content, unrestricted, depth + 1)
            if member is NOT_PLAIN:
                return NOT_PLAIN
            if <PyObject *>member != content:
                if copy is None:
                    copy = value.copy()
                PyDict_SetItem(copy, <object>key, member)
        return value if copy is None else copy

    cdef object _normal_array(self, list value, bint unrestricted, int depth):
        cdef list copy = None
        cdef Py_ssize_t index
        cdef object item
        for index in range(PyList_GET_SIZE(value)):
            item = self._normal(<object>PyList_GET_ITEM(value, index), unrestricted, depth + 1)
            if item is NOT_PLAIN:
                return NOT_PLAIN
            if <PyObject *>item != PyList_GET_ITEM(value, index):
                if copy is None:
                    copy = value[:]
                copy[index] = item
        return value if copy is None else copy
