# distutils: language = c++
# cython: language_level=3, boundscheck=False, wraparound=False
"""JSON documents of NGSIv1's context elements to updates and back, where all is plain.

Plain is an element with an id, whose fields and those of its attributes are known ones, all of
them strings without forbidden characters, and without metadata. Whatever is not plain, correct or
not, is left to `ngsi.v1`, which owns the rules and the errors: nothing here raises one.
"""

cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_Contains, PyDict_Next, PyDict_SetItem
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject

from _native.records cimport JsonText, write_string
from _native.decoding cimport intern
from _native.model cimport (
    AttributeUpdate,
    EntityUpdate,
    make_attribute_update,
    make_entity_update,
)

cdef extern from "Python.h":
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    int PyUnicode_KIND(object text)
    Py_UCS4 PyUnicode_READ(int kind, const void *data, Py_ssize_t index)
    const void *PyUnicode_DATA(object text)

cdef enum:
    ASCII = 128


@cython.final
cdef class ElementDecoder:
    """See `context_elements.pyi`."""

    cdef bint _forbidden[ASCII]
    cdef Py_ssize_t _max_length

    def __init__(self, *, has_forbidden not None, Py_ssize_t max_length):
        for code in range(ASCII):
            self._forbidden[code] = has_forbidden(chr(code))
        self._max_length = max_length

    cpdef list decode(self, object documents):
        """See `context_elements.pyi`."""
        cdef list updates = []
        cdef EntityUpdate update
        cdef Py_ssize_t index
        if type(documents) is not list:
            return None
        for index in range(PyList_GET_SIZE(documents)):
            update = self._decode_element(<object>PyList_GET_ITEM(documents, index))
            if update is None:
                return None
            updates.append(update)
        return updates

    cdef EntityUpdate _decode_element(self, object document):
        cdef Py_ssize_t position = 0
        cdef PyObject *name
        cdef PyObject *member
        cdef str entity_id = None
        cdef str entity_type = None
        cdef dict attributes = {}
        if type(document) is not dict:
            return None
        while PyDict_Next(document, &position, &name, &member):
            field = <str>name
            if field == "attributes":
                if not self._decode_attributes(<object>member, attributes):
                    return None
            elif not self._is_plain(<object>member):
                return None
            elif field == "id":
                entity_id = <str>member
            elif field == "type":
                entity_type = <str>member
            elif field != "isPattern" or (<str>member != "false" and <str>member != ""):
                return None
        if not entity_id or self._is_too_long(entity_id):
            return None
        if not entity_type:
            return make_entity_update(entity_id, None, attributes)
        if self._is_too_long(entity_type):
            return None
        return make_entity_update(entity_id, intern(entity_type), attributes)

    cdef bint _decode_attributes(self, object documents, dict attributes) except -1:
        cdef Py_ssize_t index
        if type(documents) is not list:
            return False
        for index in range(PyList_GET_SIZE(documents)):
            if not self._decode_attribute(<object>PyList_GET_ITEM(documents, index), attributes):
                return False
        return True

    cdef bint _decode_attribute(self, object document, dict attributes) except -1:
        cdef Py_ssize_t position = 0
        cdef PyObject *field_name
        cdef PyObject *member
        cdef str name = None
        cdef str type_ = None
        cdef str value = None
        if type(document) is not dict:
            return False
        while PyDict_Next(document, &position, &field_name, &member):
            if not self._is_plain(<object>member):
                return False
            field = <str>field_name
            if field == "name":
                name = <str>member
            elif field == "type":
                type_ = <str>member
            elif field == "value":
                value = <str>member
            else:
                return False
        if not name or not type_ or value is None:
            return False
        if self._is_too_long(name) or self._is_too_long(type_):
            return False
        name = intern(name)
        if PyDict_Contains(attributes, name):
            return False
        PyDict_SetItem(attributes, name, make_attribute_update(intern(type_), value, None))
        return True

    cdef bint _is_too_long(self, str text) noexcept:
        return PyUnicode_GET_LENGTH(text) > self._max_length

    cdef bint _is_plain(self, object text) noexcept:
        cdef int kind
        cdef const void *data
        cdef Py_UCS4 code
        cdef Py_ssize_t index
        if type(text) is not str:
            return False
        kind = PyUnicode_KIND(text)
        data = PyUnicode_DATA(text)
        for index in range(PyUnicode_GET_LENGTH(text)):
            code = PyUnicode_READ(kind, data, index)
            if code < ASCII and self._forbidden[code]:
                return False
        return True


def encode_answer(list updates not None):
    """See `context_elements.pyi`."""
    cdef JsonText text
    cdef Py_ssize_t index
    text.raw(b'{"contextResponses":[', 21)
    for index in range(PyList_GET_SIZE(updates)):
        if index:
            text.character(c',')
        write_response(text, <EntityUpdate?><object>PyList_GET_ITEM(updates, index))
    text.raw(b']}', 2)
    return PyBytes_FromStringAndSize(text.data(), <Py_ssize_t>text.size())


cdef int write_response(JsonText &text, EntityUpdate update) except -1:
    cdef Py_ssize_t position = 0
    cdef PyObject *name
    cdef PyObject *attribute
    text.raw(b'{"contextElement":{"type":', 26)
    write_string(text, update.type or "")
    text.raw(b',"isPattern":"false","id":', 26)
    write_string(text, update.id)
    if update.attributes:
        text.raw(b',"attributes":[', 15)
        while PyDict_Next(update.attributes, &position, &name, &attribute):
            text.raw(b'{"name":', 8)
            write_string(text, <str>name)
            text.raw(b',"type":', 8)
            write_string(text, (<AttributeUpdate?><object>attribute).type or "")
            text.raw(b',"value":""},', 13)
        text.end_members()
        text.character(c']')
    text.raw(b'},"statusCode":{"code":"200","reasonPhrase":"OK"}}', 50)
    return 0
