# cython: language_level=3, boundscheck=False, wraparound=False
# distutils: language = c++
"""Finds the subscriptions that an event triggers: the door to `matching/`.

Owns the translation of what subscriptions ask; events are translated by EventWriter, and what is
found how stands in the headers. It must not know what a subscription is beyond the neutral terms
of `add`.
Signatures and costs stand in `subscription_index.pyi`.
"""

from libc.math cimport INFINITY
from libc.stdint cimport uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from _native.event_writer cimport EventWriter
from _native.geometry cimport Annulus, Region
from _native.matching cimport (
    ANY,
    CHANGED,
    CREATED,
    DATED_KEYS,
    DELETED,
    FALSE_KEY,
    MAX_NUMBER,
    NULL_KEY,
    ON_METADATA,
    PATTERN,
    TEXT,
    TEXT_KEYS,
    TRUE_KEY,
    UPDATED,
    Area,
    Box,
    C_ABSENT,
    C_DATED,
    C_EQUAL,
    C_EXISTS,
    C_MAX_ATTRIBUTES,
    C_MAX_BOXES,
    C_MAX_KEYS,
    C_MAX_PREDICATES,
    C_MAX_TEXT_BYTES,
    C_NEGATED,
    C_NUMBER_RANGE,
    C_ONE_OF,
    C_OPEN_HIGH,
    C_OPEN_LOW,
    C_TEXT_RANGE,
    Draft,
    Event,
    Found,
    Index,
    Predicate,
    Term,
    bits_of,
    number_key,
    service_path_code,
    view_of,
)
from _native.property_paths cimport PropertyPaths

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

# Members that are scanned one by one: a scan of so many costs about what a structure costs.
DEFAULT_BLOCK = 256


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
    cdef PropertyPaths paths
    cdef EventWriter writer
    cdef list regions  # by slot; those of subscriptions that are in
    cdef bint is_busy

    def __cinit__(self, object date_types, object seconds_of, *, uint32_t block):
        if block < 8:
            raise ValueError("block: less than 8")
        self.index = new Index(block)
        self.kept = []
        self.paths = PropertyPaths()
        self.paths.index = self.index
        self.writer = EventWriter(self.paths, date_types, seconds_of)
        self.regions = []

    def __dealloc__(self):
        del self.index

    def __len__(self):
        return self.index.size()

    # --- Changes

    def add(self, object selectors, object attributes, int trigger, str service_path not None,
            object predicates, object boxes, object area, bint verify):
        cdef uint64_t handle
        self.require_idle()
        if not 0 <= trigger < 32:
            raise ValueError("trigger: not a sum of ON_...")
        self.draft.clear()
        try:
            self.write_draft(selectors, attributes, service_path, predicates, boxes)
            self.draft.trigger = trigger
            self.draft.to_verify = verify
            self.write_area(area)
            handle = self.index.add(self.draft)
        except BaseException:
            self.index.release(self.draft)
            self.paths.forget_released()
            raise
        finally:
            if self.kept:
                self.kept.clear()
        if type(area) is Region:
            try:
                self.keep_region(Index.slot_of(handle), area)
            except BaseException:
                self.index.remove(handle)
                self.paths.forget_released()
                raise
        return handle

    def remove(self, uint64_t handle):
        cdef Py_ssize_t slot
        self.require_idle()
        if not self.index.remove(handle):
            return False
        slot = Index.slot_of(handle)
        if slot < len(self.regions):
            self.regions[slot] = None
        if not self.index.released_paths().empty():
            self.paths.forget_released()
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
            path = self.paths.path_of(name)
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

    cdef int write_area(self, object area) except -1:
        if area is None:
            return 0
        if type(area) is Annulus:
            self.draft.content.area = Area.of((<Annulus>area).native)
        elif type(area) is Region:
            self.draft.content.area = Area.of(&(<Region>area).native)
        else:
            raise ValueError("area: neither Annulus nor Region")
        return 0

    cdef int keep_region(self, Py_ssize_t slot, object region) except -1:
        """The index looks at it until the subscription is removed."""
        if slot >= len(self.regions):
            self.regions += [None] * (slot + 1 - len(self.regions))
        self.regions[slot] = region
        return 0

    cdef int write_predicate(self, str attribute, object metadata, tuple path, int operation,
                             int flags, object low, object high) except -1:
        cdef Predicate predicate
        cdef uint64_t key
        cdef size_t begin, index
        cdef cbool known
        predicate.path = self.paths.path_of(attribute) if metadata is None and not path else (
            self.paths.place_of(attribute, metadata, path)
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

    # --- Matching

    def match(self, object event, int alteration, object positions, object boxes,
              object id_patterns, object type_patterns):
        self.require_idle()
        cdef const Found *found
        try:
            self.writer.write_event(self.event, event, alteration, positions, boxes, id_patterns,
                                    type_patterns, self.kept)
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
        for event, alteration, positions, boxes, id_patterns, type_patterns in events:
            batch.kept.append(event)
            self.writer.write_event(batch.events[i], event, alteration, positions, boxes,
                                    id_patterns, type_patterns, batch.kept)
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

    # --- What holds

    def check(self):
        self.require_idle()
        self.index.check()
        self.paths.check()

    def memory_bytes(self):
        return self.index.memory_bytes()


cdef list list_of(const vector[uint64_t] &handles):
    cdef size_t i
    return [handles[i] for i in range(handles.size())]
