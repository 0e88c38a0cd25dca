# cython: language_level=3, boundscheck=False, wraparound=False
# distutils: language = c++
"""Which path of the subscription index means which property: a value, a place in it, metadata.

Owns the names, and how a value is gone through to a place in it. For SubscriptionIndex alone, to
whom the index belongs.
"""

from cpython.dict cimport PyDict_GetItem
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from libc.stdint cimport uint32_t


cdef class Place:
    """A path beyond an attribute's whole value."""


cdef class Name:
    """The paths of one attribute name."""


cdef class PropertyPaths:
    def __cinit__(self):
        self.names = {}
        self.places = {}
        self.owners = [None]

    cdef uint32_t path_of(self, str name) except 0:
        """The path of an attribute's whole value."""
        cdef PyObject *known = PyDict_GetItem(self.names, name)
        cdef Name entry
        if known != NULL and (<Name>known).path != 0:
            return (<Name>known).path
        entry = self.name_of(name)
        entry.path = self.index.take_path()
        self.own(entry.path, name)
        return entry.path

    cdef uint32_t place_of(self, str name, object metadata, tuple path) except 0:
        key = (name, metadata, path)
        cdef Place place = self.places.get(key)
        cdef Name entry
        if place is None:
            place = Place()
            place.metadata = metadata
            place.steps = steps_of(path)
            entry = self.name_of(name)
            place.path = self.index.take_path()
            if entry.places is None:
                entry.places = []
            entry.places.append(place)
            self.places[key] = place
            self.own(place.path, key)
        return place.path

    cdef Name name_of(self, str name):
        cdef Name entry = self.names.get(name)
        if entry is None:
            entry = Name()
            self.names[name] = entry
        return entry

    cdef int own(self, uint32_t path, object owner) except -1:
        while len(self.owners) <= path:
            self.owners.append(None)
        self.owners[path] = owner
        return 0

    cdef int forget_released(self) except -1:
        """Forget the names of the paths that nothing refers to any more."""
        cdef uint32_t path
        cdef Name entry
        cdef Place place
        for path in self.index.released_paths():
            owner = self.owners[path]
            self.owners[path] = None
            if type(owner) is str:
                name = owner
                entry = self.names[name]
                entry.path = 0
            else:
                name = owner[0]
                entry = self.names[name]
                place = self.places.pop(owner)
                entry.places.remove(place)
                if not entry.places:
                    entry.places = None
            if entry.path == 0 and entry.places is None:
                del self.names[name]
        self.index.released_paths().clear()
        return 0

    cdef int check(self) except -1:
        for name, entry in self.names.items():
            if (<Name>entry).path == 0 and (<Name>entry).places is None:
                raise RuntimeError(f"the name {name} is kept without a path")
        return 0


cdef tuple steps_of(tuple path):
    """Each key with its number as an index of an array, -1 for none."""
    steps = []
    for key in path:
        index = -1
        # As many digits as any index that can be, and one spelling for each.
        if key.isascii() and key.isdigit() and len(key) < 10 and (key == "0" or key[0] != "0"):
            index = int(key)
        steps.append((key, index))
    return tuple(steps)


cdef list descend(object value, tuple steps):
    """All values at the end of the steps; an array is gone through by index and by element."""
    cdef list found = [value]
    cdef dict reached
    cdef Py_ssize_t index
    for step in steps:
        key = (<tuple>step)[0]
        index = (<tuple>step)[1]
        if len(found) == 1 and type(found[0]) is dict:
            if key not in <dict>found[0]:
                return []
            found = [(<dict>found[0])[key]]
            continue
        reached = {}  # by identity: "0" as a key and as an index may lead to one value
        for holder in found:
            if type(holder) is dict:
                if key in <dict>holder:
                    member = (<dict>holder)[key]
                    reached[id(member)] = member
            elif type(holder) is list:
                if 0 <= index < PyList_GET_SIZE(holder):
                    member = <object>PyList_GET_ITEM(holder, index)
                    reached[id(member)] = member
                for item in <list>holder:
                    if type(item) is dict and key in <dict>item:
                        member = (<dict>item)[key]
                        reached[id(member)] = member
        found = list(reached.values())
    return found
