# cython: language_level=3, boundscheck=False, wraparound=False
"""The objects that a broker holds by the million or makes by the hundred thousand a second.

`ngsi.model` is their door and says what they mean. Here is how they are laid out: one block of
memory each, times as doubles. None of them is looked at by the garbage collector, so that a
full collection does not walk over every entity. That is right because none of them can be in a
cycle: JSON values, metadata and shapes hold nothing of ours. A dict that holds nothing but such
objects is left aside by the collector, too.
"""

cimport cython
from libc.math cimport NAN, isnan

# Distinct tuples of names of which one copy is kept: most entities call their locations the same.
cdef enum:
    NAMES_KEPT = 256

cdef dict _names_kept = {}

cdef dict NO_METADATA = {}
no_metadata = NO_METADATA


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class Attribute:
    def __init__(
        self,
        str type not None,
        object value,
        dict metadata not None,
        double created,
        double modified,
    ):
        self.type = type
        self.value = value
        self.metadata = metadata
        self.created = created
        self.modified = modified

    def __repr__(self):
        return f"Attribute({self.type!r}, {self.value!r}, {self.metadata!r})"


@cython.final
@cython.no_gc
@cython.freelist(256)
cdef class AttributeUpdate:
    def __init__(self, str type, object value, dict metadata, bint only_value=False):
        self.type = type
        self.value = value
        self.metadata = metadata
        self.only_value = only_value

    def __repr__(self):
        return f"AttributeUpdate({self.type!r}, {self.value!r}, {self.metadata!r})"


@cython.final
@cython.no_gc
@cython.freelist(64)
cdef class EntityUpdate:
    def __init__(self, str id not None, str type, dict attributes not None):
        self.id = id
        self.type = type
        self.attributes = attributes

    def __repr__(self):
        return f"EntityUpdate({self.id!r}, {self.type!r})"


@cython.final
@cython.no_gc
cdef class Entity:
    def __init__(
        self,
        str id not None,
        str type not None,
        str service_path not None,
        dict attributes not None,
        double created,
        double modified,
        long long sequence,
    ):
        self.id = id
        self.type = type
        self.service_path = service_path
        self.attributes = attributes
        self.created = created
        self.modified = modified
        self.sequence = sequence
        self.locations = ()
        self.shapes = ()
        self._expires = NAN
        self.size = 0

    @property
    def expires(self):
        return None if isnan(self._expires) else self._expires

    @expires.setter
    def expires(self, seconds):
        self._expires = NAN if seconds is None else seconds

    def set_locations(self, locations):
        cdef tuple names = tuple(locations)
        if len(_names_kept) >= NAMES_KEPT:
            _names_kept.clear()
        self.locations = _names_kept.setdefault(names, names)
        self.shapes = tuple(locations.values())

    def __repr__(self):
        return f"Entity({self.id!r}, {self.type!r}, {self.service_path!r})"


cdef Attribute make_attribute(
    str type, object value, dict metadata, double created, double modified
):
    cdef Attribute attribute = Attribute.__new__(Attribute)
    attribute.type = type
    attribute.value = value
    attribute.metadata = metadata
    attribute.created = created
    attribute.modified = modified
    return attribute


cdef AttributeUpdate make_attribute_update(str type, object value, dict metadata):
    cdef AttributeUpdate update = AttributeUpdate.__new__(AttributeUpdate)
    update.type = type
    update.value = value
    update.metadata = metadata
    return update


cdef EntityUpdate make_entity_update(str id, str type, dict attributes):
    cdef EntityUpdate update = EntityUpdate.__new__(EntityUpdate)
    update.id = id
    update.type = type
    update.attributes = attributes
    return update
