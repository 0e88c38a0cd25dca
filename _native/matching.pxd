# The C++ below `matching/`, for the modules that are its door to Python.

from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libcpp cimport bool as cbool
from libcpp.vector cimport vector

from _native.geometry cimport NativeAnnulus, NativeRegion


cdef extern from "Python.h":
    const char *PyUnicode_AsUTF8AndSize(object text, Py_ssize_t *size) except? NULL


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

    cdef struct Position:
        double lon, lat

    cdef cppclass Area:
        Area()
        @staticmethod
        Area of(const NativeAnnulus &)
        @staticmethod
        Area of(const NativeRegion *)

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
        vector[Position] positions
        cbool has_lists
        cbool has_extents
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
        Area area

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


cdef inline string_view view_of(object text, list kept) except *:
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
