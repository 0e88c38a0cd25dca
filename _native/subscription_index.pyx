# cython: language_level=3, boundscheck=False, wraparound=False
# distutils: language = c++
"""Finds the subscriptions that an event triggers: the door to `matching/`.

Owns the names of paths and the translation of Python values; what is found how stands in the
headers. It must not know what a subscription is beyond the neutral terms of `add`.
Signatures and costs stand in `subscription_index.pyi`.
"""

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_GetItem, PyDict_Next, PyDict_Size
from cpython.list cimport PyList_GET_ITEM, PyList_GET_SIZE
from cpython.object cimport PyObject
from libc.math cimport INFINITY, NAN, fabs, isfinite
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except? NULL
    long long PyLong_AsLongLongAndOverflow(object number, int *overflow) except? -1


cdef extern from "<string_view>" namespace "std" nogil:
    cdef cppclass string_view:
        string_view()
        string_view(const char *, size_t)
        const char *data()
        size_t size()


cdef extern from "matching/index.hpp" namespace "rigel::matching" nogil:
    cdef cppclass Box:
        float west, south, east, north
        @staticmethod
        Box of(double west, double south, double east, double north)

    cdef enum Operation:
        C_EXISTS "rigel::matching::EXISTS"
        C_ABSENT "rigel::matching::ABSENT"
        C_EQUAL "rigel::matching::EQUAL"
        C_ONE_OF "rigel::matching::ONE_OF"
        C_NUMBER_RANGE "rigel::matching::NUMBER_RANGE"
        C_TEXT_RANGE "rigel::matching::TEXT_RANGE"

    cdef enum PredicateFlags:
        C_NEGATED "rigel::matching::NEGATED"
        C_OPEN_LOW "rigel::matching::OPEN_LOW"
        C_OPEN_HIGH "rigel::matching::OPEN_HIGH"
        C_DATED "rigel::matching::DATED"

    cdef enum:
        IN_UPDATE
        VALUE_CHANGED
        METADATA_CHANGED
        CREATED
        CHANGED
        UPDATED
        DELETED
        ON_METADATA

    const uint64_t TEXT_KEYS, DATED_KEYS, FALSE_KEY, TRUE_KEY, NULL_KEY, NO_KEY

    cdef struct Predicate:
        uint32_t path
        uint8_t operation
        uint8_t flags
        uint64_t low
        uint64_t high

    cdef cppclass TextKind:
        pass
    TextKind NOT_TEXT "rigel::matching::TextKind::NOT_TEXT"
    TextKind PLAIN "rigel::matching::TextKind::PLAIN"
    TextKind DATED_TEXT "rigel::matching::TextKind::DATED"

    cdef struct Value:
        uint32_t path
        uint32_t run
        double number
        uint64_t number_key
        uint64_t symbol_key
        const char *text
        uint32_t length
        TextKind kind

    cdef struct Named:
        uint32_t path
        uint8_t sets

    cdef cppclass Event:
        uint32_t id
        uint32_t type
        vector[uint32_t] id_patterns
        vector[uint32_t] type_patterns
        vector[Value] values
        vector[Named] names
        vector[uint32_t] scopes
        vector[Box] boxes
        cbool has_lists
        void clear()

    void fill_reach(Event &event, uint8_t alteration, uint8_t sets)
    uint64_t bits_of(double)
    uint64_t number_key(double)
    uint32_t service_path_code(uint32_t text, cbool open)
    cbool read_canonical_instant(const char *text, uint32_t length, double &seconds)

    cdef cppclass Term:
        Term()
        Term(int kind, uint32_t number)
    cdef enum:
        ANY "rigel::matching::Term::ANY"
        TEXT "rigel::matching::Term::TEXT"
        PATTERN "rigel::matching::Term::PATTERN"
        MAX_NUMBER "rigel::matching::Term::MAX_NUMBER"

    cdef cppclass Selector:
        Term id
        Term type

    cdef cppclass Content:
        vector[uint32_t] attributes
        vector[Predicate] predicates
        vector[uint64_t] keys
        vector[Box] boxes

    cdef cppclass Draft:
        vector[Selector] selectors
        Content content
        uint32_t service_path
        uint8_t trigger
        cbool to_verify
        void clear()

    cdef cppclass Strings:
        uint32_t find(string_view)
        uint32_t acquire(string_view) except +

    cdef cppclass Found:
        vector[uint64_t] sure
        vector[uint64_t] unsure

    cdef cppclass Index:
        Index(uint32_t block) except +
        size_t size()
        uint64_t changes()
        Strings &strings()
        uint32_t take_path() except +
        void use_value(uint32_t path)
        void use_name(uint32_t path)
        cbool is_value_used(uint32_t path)
        uint64_t value_uses()
        uint64_t place_count()
        vector[uint32_t] &released_paths()
        uint64_t add(const Draft &) except +
        void release(const Draft &) except +
        void release_key(uint64_t key)
        cbool has(uint64_t handle)
        @staticmethod
        uint32_t slot_of(uint64_t handle)
        cbool remove(uint64_t handle) except +
        const Found &match(const Event &) except +
        void check() except +
        size_t memory_bytes()

    const size_t C_MAX_ATTRIBUTES "rigel::matching::Record::MAX_ATTRIBUTES"
    const size_t C_MAX_PREDICATES "rigel::matching::Record::MAX_PREDICATES"
    const size_t C_MAX_KEYS "rigel::matching::Record::MAX_KEYS"
    const size_t C_MAX_BOXES "rigel::matching::Record::MAX_BOXES"
    const size_t C_MAX_TEXT_BYTES "rigel::matching::Strings::MAX_BYTES"


EXISTS = int(C_EXISTS)
ABSENT = int(C_ABSENT)
EQUAL = int(C_EQUAL)
ONE_OF = int(C_ONE_OF)
NUMBER_RANGE = int(C_NUMBER_RANGE)
TEXT_RANGE = int(C_TEXT_RANGE)

NEGATED = int(C_NEGATED)
OPEN_LOW = int(C_OPEN_LOW)
OPEN_HIGH = int(C_OPEN_HIGH)
DATED = int(C_DATED)

ON_CREATE = int(CREATED)
ON_CHANGE = int(CHANGED)
ON_UPDATE = int(UPDATED)
ON_DELETE = int(DELETED)
ON_METADATA_TOO = int(ON_METADATA)

MAX_ATTRIBUTES = int(C_MAX_ATTRIBUTES)
MAX_PREDICATES = int(C_MAX_PREDICATES)
MAX_KEYS = int(C_MAX_KEYS)
MAX_BOXES = int(C_MAX_BOXES)
MAX_TEXT_BYTES = int(C_MAX_TEXT_BYTES)

# Whole numbers below it are doubles, each of them; what is not below is told apart by its sign.
MAX_NUMBER_SIZE = 2.0**53
cdef double C_MAX_NUMBER_SIZE = 2.0**53

# Members that are scanned one by one: a scan of so many costs about what a structure costs.
DEFAULT_BLOCK = 256


cdef string_view view_of(object text, list kept) except *:
    """The UTF-8 of a text, which lives as long as the text or `kept`."""
    cdef Py_ssize_t size = 0
    cdef const char *start
    try:
        start = PyUnicode_AsUTF8AndSize(text, &size)
    except UnicodeEncodeError:
        # Half of a surrogate pair: as three bytes it keeps its place in the order.
        encoded = text.encode("utf-8", "surrogatepass")
        kept.append(encoded)
        start = PyBytes_AS_STRING(encoded)
        size = PyBytes_GET_SIZE(encoded)
    return string_view(start, size)


cdef class _Place:
    """A path beyond an attribute's whole value."""

    cdef uint32_t path
    cdef object metadata  # name, or None
    cdef tuple steps  # of (key, index or -1)


cdef class _Name:
    """The paths of one attribute name."""

    cdef uint32_t path  # of the whole value, 0 for none
    cdef list places  # of _Place, or None


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


cdef class EventBatch:
    """Events made ready by `SubscriptionIndex.prepare`; valid until the index changes."""

    cdef vector[Event] events
    cdef list kept  # what the events' texts live in
    cdef uint64_t changes

    def __len__(self):
        return self.events.size()


cdef class SubscriptionIndex:
    cdef Index *index
    cdef Draft draft
    cdef Event event
    cdef list kept
    cdef dict names  # text -> _Name
    cdef dict places  # (name, metadata, path) -> _Place
    cdef list owners  # by path: name, or key of places
    cdef object date_types
    cdef object seconds_of
    cdef bint is_busy

    def __cinit__(self, object date_types, object seconds_of, *, uint32_t block):
        if block < 8:
            raise ValueError("block: less than 8")
        self.index = new Index(block)
        self.kept = []
        self.names = {}
        self.places = {}
        self.owners = [None]
        self.date_types = frozenset(date_types)
        self.seconds_of = seconds_of

    def __dealloc__(self):
        del self.index

    def __len__(self):
        return self.index.size()

    # --- Changes

    def add(self, object selectors, object attributes, int trigger, str service_path not None,
            object predicates, object boxes, bint verify):
        cdef uint64_t handle
        self.require_idle()
        if not 0 <= trigger < 32:
            raise ValueError("trigger: not a sum of ON_...")
        self.draft.clear()
        try:
            self.write_draft(selectors, attributes, service_path, predicates, boxes)
            self.draft.trigger = trigger
            self.draft.to_verify = verify
            handle = self.index.add(self.draft)
        except BaseException:
            self.index.release(self.draft)
            self.forget_paths()
            raise
        finally:
            if self.kept:
                self.kept.clear()
        return handle

    def remove(self, uint64_t handle):
        self.require_idle()
        if not self.index.remove(handle):
            return False
        if not self.index.released_paths().empty():
            self.forget_paths()
        return True

    def __contains__(self, uint64_t handle):
        return self.index.has(handle)

    @staticmethod
    def slot(uint64_t handle):
        return Index.slot_of(handle)

    @property
    def has_places(self):
        return self.index.place_count() != 0

    cdef int require_idle(self) except -1:
        if self.is_busy:
            raise RuntimeError("another thread is matching")
        return 0

    cdef uint32_t acquire(self, object text) except? 0:
        return self.index.strings().acquire(view_of(text, self.kept))

    cdef Term term_of(self, object side) except *:
        """None is any, a text exact, a number that of a pattern."""
        if side is None:
            return Term(ANY, 0)
        if type(side) is str:
            return Term(TEXT, self.acquire(side))
        if type(side) is not int or not 0 <= side <= MAX_NUMBER:
            raise ValueError("selectors: neither text nor number of a pattern")
        return Term(PATTERN, side)

    cdef int write_draft(self, object selectors, object attributes, str service_path,
                         object predicates, object boxes) except -1:
        """Translates into the draft; each reference stands in it as soon as it was taken."""
        cdef uint32_t path
        cdef bint is_open
        cdef Box box
        for entity_id, entity_type in selectors:
            self.draft.selectors.resize(self.draft.selectors.size() + 1)
            self.draft.selectors.back().id = self.term_of(entity_id)
            self.draft.selectors.back().type = self.term_of(entity_type)
        if self.draft.selectors.empty():
            raise ValueError("selectors: none")
        is_open = service_path.endswith("/#")
        self.draft.service_path = service_path_code(
            self.acquire(service_path.removesuffix("/#")), is_open
        )
        for name in (attributes if len(attributes) < 2 else dict.fromkeys(attributes)):
            path = self.path_of(name)
            self.index.use_name(path)
            self.draft.content.attributes.push_back(path)
        for predicate in predicates:
            attribute, metadata, place, operation, flags, low, high = predicate
            self.write_predicate(attribute, metadata, place, operation, flags, low, high)
        for west, south, east, north in boxes:
            if not (west <= east and south <= north):
                raise ValueError("boxes: turned round")
            box = Box.of(west, south, east, north)
            self.draft.content.boxes.push_back(box)
        return 0

    cdef int write_predicate(self, str attribute, object metadata, tuple path, int operation,
                             int flags, object low, object high) except -1:
        cdef Predicate predicate
        cdef uint64_t key
        cdef size_t begin, index
        cdef cbool known
        predicate.path = self.path_of(attribute) if metadata is None and not path else (
            self.place_of(attribute, metadata, path)
        )
        self.index.use_value(predicate.path)
        predicate.operation = C_EXISTS
        predicate.flags = flags
        predicate.low = predicate.high = 0
        self.draft.content.predicates.push_back(predicate)
        cdef Predicate *written = &self.draft.content.predicates.back()
        if operation == C_EQUAL:
            written.low = self.key_of(low, flags)
        elif operation == C_ONE_OF:
            begin = self.draft.content.keys.size()
            written.low = begin
            written.operation = C_ONE_OF
            for scalar in low:
                key = self.key_of(scalar, flags)
                known = False
                for index in range(begin, self.draft.content.keys.size()):
                    known = known or self.draft.content.keys[index] == key
                if known:
                    self.index.release_key(key)
                else:
                    self.draft.content.keys.push_back(key)
                    written.high += 1
        elif operation == C_NUMBER_RANGE:
            written.low = bits_of(-INFINITY if low is None else self.number_of(low))
            written.high = bits_of(INFINITY if high is None else self.number_of(high))
        elif operation == C_TEXT_RANGE:
            written.operation = C_TEXT_RANGE
            if low is not None:
                written.low = self.acquire(low)
            if high is not None:
                written.high = self.acquire(high)
        elif operation != C_EXISTS and operation != C_ABSENT:
            raise ValueError("predicates: unknown operation")
        written.operation = operation
        return 0

    cdef double number_of(self, object number) except? -1:
        if type(number) is not int and type(number) is not float:
            raise ValueError("predicates: not a number")
        if not abs(number) < MAX_NUMBER_SIZE:
            raise ValueError("predicates: a number too large to be compared exactly")
        return number

    cdef uint64_t key_of(self, object scalar, int flags) except? 0:
        if scalar is None:
            return NULL_KEY
        if type(scalar) is bool:
            return TRUE_KEY if scalar else FALSE_KEY
        if type(scalar) is str:
            return (DATED_KEYS if flags & C_DATED else TEXT_KEYS) | self.acquire(scalar)
        return number_key(self.number_of(scalar))

    cdef uint32_t path_of(self, str name) except 0:
        """The path of an attribute's whole value."""
        cdef PyObject *known = PyDict_GetItem(self.names, name)
        cdef _Name entry
        if known != NULL and (<_Name>known).path != 0:
            return (<_Name>known).path
        entry = self.name_of(name)
        entry.path = self.index.take_path()
        self.own(entry.path, name)
        return entry.path

    cdef uint32_t place_of(self, str name, object metadata, tuple path) except 0:
        key = (name, metadata, path)
        cdef _Place place = self.places.get(key)
        cdef _Name entry
        if place is None:
            place = _Place()
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

    cdef _Name name_of(self, str name):
        cdef _Name entry = self.names.get(name)
        if entry is None:
            entry = _Name()
            self.names[name] = entry
        return entry

    cdef int own(self, uint32_t path, object owner) except -1:
        while len(self.owners) <= path:
            self.owners.append(None)
        self.owners[path] = owner
        return 0

    cdef int forget_paths(self) except -1:
        """Forget the names of the paths that nothing refers to any more."""
        cdef uint32_t path
        cdef _Name entry
        cdef _Place place
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

    # --- Matching

    def match(self, object event, int alteration, object boxes, object id_patterns,
              object type_patterns):
        self.require_idle()
        cdef const Found *found
        try:
            self.write_event(self.event, event, alteration, boxes, id_patterns, type_patterns,
                             self.kept)
            found = &self.index.match(self.event)
        finally:
            if self.kept:
                self.kept.clear()
        return list_of(found.sure), list_of(found.unsure)

    def prepare(self, object events):
        cdef EventBatch batch = EventBatch()
        batch.kept = []
        batch.changes = self.index.changes()
        events = list(events)
        batch.events.resize(len(events))
        cdef size_t i = 0
        for event, alteration, boxes, id_patterns, type_patterns in events:
            batch.kept.append(event)
            self.write_event(batch.events[i], event, alteration, boxes, id_patterns,
                             type_patterns, batch.kept)
            i += 1
        return batch

    def match_many(self, EventBatch batch not None):
        cdef vector[Found] found
        cdef size_t i, count = batch.events.size()
        self.begin_batch(batch)
        try:
            with nogil:
                found.resize(count)
                for i in range(count):
                    found[i] = self.index.match(batch.events[i])
        finally:
            self.is_busy = False
        return [(list_of(found[i].sure), list_of(found[i].unsure)) for i in range(count)]

    def count_matches(self, EventBatch batch not None):
        cdef const Found *found
        cdef uint64_t sure = 0, unsure = 0
        cdef size_t i, count = batch.events.size()
        self.begin_batch(batch)
        try:
            with nogil:
                for i in range(count):
                    found = &self.index.match(batch.events[i])
                    sure += found.sure.size()
                    unsure += found.unsure.size()
        finally:
            self.is_busy = False
        return sure, unsure

    cdef int begin_batch(self, EventBatch batch) except -1:
        self.require_idle()
        if batch.changes != self.index.changes():
            raise ValueError("batch: the index changed since it was prepared")
        self.is_busy = True
        return 0

    cdef int write_event(self, Event &written, object event, int alteration, object boxes,
                         object id_patterns, object type_patterns, list kept) except -1:
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
        for west, south, east, north in boxes:
            written.boxes.push_back(Box.of(west, south, east, north))
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
            known = PyDict_GetItem(self.names, name)
            if known != NULL and (<_Name>known).path != 0:
                named.path = (<_Name>known).path
                named.sets = set
                written.names.push_back(named)
        return set

    cdef int write_attributes(self, Event &written, dict attributes, list kept) except -1:
        cdef PyObject *name
        cdef PyObject *found
        cdef PyObject *other
        cdef Py_ssize_t position = 0
        if PyDict_Size(attributes) <= PyDict_Size(self.names):
            while PyDict_Next(attributes, &position, &name, &found):
                other = PyDict_GetItem(self.names, <object>name)
                if other != NULL:
                    self.write_attribute(written, <_Name>other, <object>found, kept)
        else:
            while PyDict_Next(self.names, &position, &name, &found):
                other = PyDict_GetItem(attributes, <object>name)
                if other != NULL:
                    self.write_attribute(written, <_Name>found, <object>other, kept)
        return 0

    cdef int write_attribute(self, Event &written, _Name name, object attribute,
                             list kept) except -1:
        cdef _Place place
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

    # --- What holds

    def check(self):
        self.require_idle()
        self.index.check()
        for name, entry in self.names.items():
            if (<_Name>entry).path == 0 and (<_Name>entry).places is None:
                raise RuntimeError(f"the name {name} is kept without a path")

    def memory_bytes(self):
        return self.index.memory_bytes()


cdef double limited(double number) noexcept:
    if fabs(number) >= C_MAX_NUMBER_SIZE:
        return INFINITY if number > 0 else -INFINITY
    return number


cdef double double_of(object number) except? -1:
    cdef int overflow = 0
    cdef long long whole = PyLong_AsLongLongAndOverflow(number, &overflow)
    if overflow != 0:
        return INFINITY if overflow > 0 else -INFINITY
    return limited(<double>whole)


cdef list list_of(const vector[uint64_t] &handles):
    cdef size_t i
    return [handles[i] for i in range(handles.size())]
