# distutils: language = c++
# distutils: extra_compile_args = -std=c++17
# cython: language_level=3, boundscheck=False, wraparound=False
"""The JSON text of an entity, in one pass over its attributes.

`ngsi/v2/render.py` is the definition of what is shown, and the door: the text is that of its
document. Here is what most readers and subscribers ask for, the forms normalized and keyValues
without metadata of the broker's own. Must not: change anything, or know who asks.
"""

from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_Contains, PyDict_GetItem, PyDict_Next, PyDict_Size
from cpython.object cimport PyObject
from cpython.set cimport PySet_Contains

from _native.events cimport EntityEvent
from _native.model cimport Attribute, Entity
from _native.records cimport JsonText, write_object, write_string, write_value


cdef int write_shown(
    EntityEncoder encoder, JsonText &text, str name, Attribute attribute, bint is_normalized
) except -1:
    """A member of the document."""
    cdef object value = attribute.value
    if type(value) is dict and attribute.type == encoder._place_type:
        value = encoder._shown_value(attribute)
    text.character(b",")
    write_string(text, name)
    if not is_normalized:
        text.character(b":")
        return write_value(text, value)
    text.raw(b':{"type":', 9)
    # Entities and attributes of NGSIv1 may have no type.
    write_string(text, attribute.type or <str?>encoder._default_type(attribute.value))
    text.raw(b',"value":', 9)
    write_value(text, value)
    if PyDict_Size(attribute.metadata) == 0:
        text.raw(b',"metadata":{}}', 15)
    else:
        text.raw(b',"metadata":', 12)
        write_object(text, attribute.metadata)
        text.character(b"}")
    return 0


cdef class EntityEncoder:
    def __init__(
        self,
        *,
        builtin_attribute not None,
        frozenset builtins not None,
        shown_value not None,
        str place_type not None,
        str hidden not None,
        default_type not None,
        str default_entity_type not None,
    ):
        self._builtin_attribute = builtin_attribute
        self._builtins = builtins
        self._shown_value = shown_value
        self._place_type = place_type
        self._hidden = hidden
        self._default_type = default_type
        self._default_entity_type = default_entity_type

    cpdef bytes encode(
        self,
        Entity entity,
        EntityEvent event,
        tuple wanted,
        frozenset excluded,
        bint is_normalized,
    ):
        """See `rendering.pyi`."""
        cdef JsonText text
        cdef dict attributes = entity.attributes if event is None else event.attributes
        cdef Py_ssize_t position = 0
        cdef PyObject *name
        cdef PyObject *found
        cdef bint excludes
        if PyDict_Contains(attributes, "id") or PyDict_Contains(attributes, "type"):
            return None  # a document has one member of a name
        text.raw(b'{"id":', 6)
        write_string(text, entity.id)
        text.raw(b',"type":', 8)
        write_string(text, entity.type or self._default_entity_type)
        if wanted:
            for each in wanted:
                found = PyDict_GetItem(attributes, each)
                if found != NULL:
                    write_shown(self, text, <str>each, <Attribute>found, is_normalized)
                elif PySet_Contains(self._builtins, each):
                    builtin = self._builtin_attribute(entity, each, event)
                    if builtin is not None:
                        write_shown(self, text, <str>each, <Attribute?>builtin, is_normalized)
        else:
            excludes = len(excluded) != 0
            while PyDict_Next(attributes, &position, &name, &found):
                if <str>name == self._hidden or (
                    excludes and PySet_Contains(excluded, <object>name)
                ):
                    continue
                write_shown(self, text, <str>name, <Attribute>found, is_normalized)
        text.character(b"}")
        return PyBytes_FromStringAndSize(text.data(), <Py_ssize_t>text.size())
