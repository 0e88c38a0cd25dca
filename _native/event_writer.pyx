# cython: language_level=3, boundscheck=False, wraparound=False
# distutils: language = c++
"""Writes an event as the subscription index looks at it: the values that some subscription asks.

Owns the translation of Python values. For SubscriptionIndex alone, to whom the index belongs.
Texts are not copied: they live as long as the event, or as `kept`.
"""

from cpython.dict cimport PyDict_GetItem, PyDict_Next, PyDict_Size
from cpython.object cimport PyObject
from libc.math cimport INFINITY, NAN, fabs
from libc.stdint cimport uint8_t, uint32_t

from _native.matching cimport (
    CHANGED,
    CREATED,
    DATED_KEYS,
    DATED_TEXT,
    DELETED,
    FALSE_KEY,
    IN_UPDATE,
    METADATA_CHANGED,
    NO_KEY,
    NOT_TEXT,
    NULL_KEY,
    PLAIN,
    TEXT_KEYS,
    TRUE_KEY,
    UPDATED,
    VALUE_CHANGED,
    Box,
    Event,
    Named,
    Position,
    Value,
    fill_reach,
    number_key,
    read_canonical_instant,
    service_path_code,
    string_view,
    view_of,
)
from _native.property_paths cimport Name, Place, PropertyPaths, descend


cdef extern from "Python.h":
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1


# Whole numbers below it are doubles, each of them; what is not below is told apart by its sign.
cdef double MAX_NUMBER_SIZE = 2.0**53


cdef class EventWriter:
    def __cinit__(self, PropertyPaths paths not None, object date_types, object seconds_of):
        self.index = paths.index
        self.paths = paths
        self.date_types = frozenset(date_types)
        self.seconds_of = seconds_of

    cdef int write_event(self, Event &written, object event, int alteration, object positions,
                         object boxes, object id_patterns, object type_patterns,
                         list kept) except -1:
        cdef Position position
        cdef uint8_t sets = 0
        if alteration not in (CREATED, CHANGED, UPDATED, DELETED):
            raise ValueError("alteration: not one of ON_...")
        entity = event.entity
        written.clear()
        written.id = self.index.strings().find(view_of(entity.id, kept))
        written.type = self.index.strings().find(view_of(entity.type, kept))
        for number in id_patterns:
            written.id_patterns.push_back(number)
        for number in type_patterns:
            written.type_patterns.push_back(number)
        self.write_scopes(written, entity.service_path, kept)
        for position.lon, position.lat in positions:
            written.positions.push_back(position)
            written.boxes.push_back(
                Box.of(position.lon, position.lat, position.lon, position.lat)
            )
        for west, south, east, north in boxes:
            written.boxes.push_back(Box.of(west, south, east, north))
            written.has_extents = True
        sets |= self.write_names(written, event.updated, IN_UPDATE)
        sets |= self.write_names(written, event.changed_values, VALUE_CHANGED)
        sets |= self.write_names(written, event.changed_metadata, METADATA_CHANGED)
        fill_reach(written, alteration, sets)
        if self.index.value_uses() != 0:
            self.write_attributes(written, event.attributes, kept)
        return 0

    cdef int write_scopes(self, Event &written, str path, list kept) except -1:
        """The path itself, and what is above it of those that are open downwards."""
        cdef string_view whole = view_of(path, kept)
        cdef size_t i
        self.write_scope(written, whole, False)
        self.write_scope(written, whole, True)
        for i in range(whole.size()):
            if whole.data()[i] == b'/':
                self.write_scope(written, string_view(whole.data(), i), True)
        return 0

    cdef void write_scope(self, Event &written, string_view text, bint is_open) noexcept:
        cdef uint32_t number = self.index.strings().find(text)
        if number != 0:
            written.scopes.push_back(service_path_code(number, is_open))

    cdef uint8_t write_names(self, Event &written, object names, uint8_t set) except? 255:
        cdef PyObject *known
        cdef Named named
        if not names:
            return 0
        for name in names:
            known = PyDict_GetItem(self.paths.names, name)
            if known != NULL and (<Name>known).path != 0:
                named.path = (<Name>known).path
                named.sets = set
                written.names.push_back(named)
        return set

    cdef int write_attributes(self, Event &written, dict attributes, list kept) except -1:
        cdef PyObject *name
        cdef PyObject *found
        cdef PyObject *other
        cdef Py_ssize_t position = 0
        if PyDict_Size(attributes) <= PyDict_Size(self.paths.names):
            while PyDict_Next(attributes, &position, &name, &found):
                other = PyDict_GetItem(self.paths.names, <object>name)
                if other != NULL:
                    self.write_attribute(written, <Name>other, <object>found, kept)
        else:
            while PyDict_Next(self.paths.names, &position, &name, &found):
                other = PyDict_GetItem(attributes, <object>name)
                if other != NULL:
                    self.write_attribute(written, <Name>found, <object>other, kept)
        return 0

    cdef int write_attribute(self, Event &written, Name name, object attribute,
                             list kept) except -1:
        cdef Place place
        if name.path != 0 and self.index.is_value_used(name.path):
            self.write_value(written, name.path, attribute.value, attribute.type, kept)
        if name.places is None:
            return 0
        for place in name.places:
            if place.metadata is None:
                value = attribute.value
                value_type = None
            else:
                metadata = attribute.metadata.get(place.metadata)
                if metadata is None:
                    continue
                value = metadata["value"]
                value_type = metadata["type"]
            if not place.steps:
                self.write_value(written, place.path, value, value_type, kept)
                continue
            found = descend(value, place.steps)
            if found:
                self.write_all(written, place.path, found, kept)
        return 0

    cdef int write_value(self, Event &written, uint32_t path, object value, object value_type,
                         list kept) except -1:
        if type(value) is str:
            self.write_text(written, path, value, value_type in self.date_types, kept)
        elif type(value) is list:
            self.write_all(written, path, [value], kept)
        elif not self.write_scalar(written, path, value, kept):
            self.write_nothing(written, path)
        return 0

    cdef int write_all(self, Event &written, uint32_t path, list values, list kept) except -1:
        """The scalars among the values and among the elements of those that are arrays."""
        cdef size_t begin = written.values.size()
        cdef size_t i, count
        for value in values:
            if type(value) is list:
                for item in <list>value:
                    self.write_scalar(written, path, item, kept)
            else:
                self.write_scalar(written, path, value, kept)
        count = written.values.size() - begin
        for i in range(count):
            written.values[begin + i].run = count - i
        if count == 0:
            self.write_nothing(written, path)
        elif count > 1:
            written.has_lists = True
        return 0

    cdef bint write_scalar(self, Event &written, uint32_t path, object value,
                           list kept) except -1:
        cdef Value scalar
        if type(value) is str:
            self.write_text(written, path, value, False, kept)
            return True
        scalar.path = path
        scalar.run = 1
        scalar.number = NAN
        scalar.number_key = NO_KEY
        scalar.symbol_key = NO_KEY
        scalar.text = NULL
        scalar.length = 0
        scalar.kind = NOT_TEXT
        if type(value) is float:
            scalar.number = limited(value)
            scalar.number_key = number_key(scalar.number)
        elif type(value) is int:
            scalar.number = double_of(value)
            scalar.number_key = number_key(scalar.number)
        elif type(value) is bool:
            scalar.symbol_key = TRUE_KEY if value else FALSE_KEY
        elif value is None:
            scalar.symbol_key = NULL_KEY
        else:
            return False
        written.values.push_back(scalar)
        return True

    cdef int write_nothing(self, Event &written, uint32_t path) except -1:
        """A value that exists and compares with nothing."""
        cdef Value value
        value.path = path
        value.run = 0
        value.number = NAN
        value.number_key = NO_KEY
        value.symbol_key = NO_KEY
        value.text = NULL
        value.length = 0
        value.kind = NOT_TEXT
        written.values.push_back(value)
        return 0

    cdef int write_text(self, Event &written, uint32_t path, str text, bint is_dated,
                        list kept) except -1:
        cdef Value value
        cdef double seconds = 0
        cdef string_view view = view_of(text, kept)
        cdef uint32_t number = self.index.strings().find(view)
        value.path = path
        value.run = 1
        value.number = NAN
        value.number_key = NO_KEY
        value.symbol_key = NO_KEY
        value.text = view.data()
        value.length = view.size()
        value.kind = DATED_TEXT if is_dated else PLAIN
        if number != 0:
            value.symbol_key = (DATED_KEYS if is_dated else TEXT_KEYS) | number
        if is_dated:
            if read_canonical_instant(value.text, value.length, seconds):
                value.number = seconds
            else:
                instant = self.seconds_of(text)
                if instant is not None:
                    value.number = instant
            value.number_key = number_key(value.number)
        written.values.push_back(value)
        return 0


cdef double limited(double number) noexcept:
    if fabs(number) >= MAX_NUMBER_SIZE:
        return INFINITY if number > 0 else -INFINITY
    return number


cdef double double_of(object number) except? -1:
    cdef int overflow = 0
    cdef long long whole = PyLong_AsLongLongAndOverflow(number, &overflow)
    if overflow != 0:
        return INFINITY if overflow > 0 else -INFINITY
    return limited(<double>whole)
