# distutils: language = c++
# distutils: extra_compile_args = -std=c++17
# cython: language_level=3, boundscheck=False, wraparound=False
"""The text of JSON documents of entities to updates, where all is plain.

One pass over the bytes, without the document in between. What is no plain member of an entity
is cut out and goes, parsed, to the decoder's `decode_member`. What is not plain otherwise, and
whatever is wrong, ends the parse: the caller then has the text parsed and decoded by those who own
the rules and the errors. So nothing here raises an error, and whatever is given is what they
would give.
"""

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from cpython.dict cimport PyDict_Contains, PyDict_GetItem, PyDict_SetItem, PyDict_Size
from cpython.list cimport PyList_GET_ITEM, PyList_SetItem
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from cpython.set cimport PySet_Contains
from libc.math cimport fabs
from libc.string cimport memchr, memcmp, memcpy

from _native.decoding cimport NOT_PLAIN, PlainDecoder, intern, is_literal
from _native.model cimport (
    AttributeUpdate,
    EntityUpdate,
    make_attribute_update,
    make_entity_update,
)

cdef extern from *:
    """
    #include <charconv>
    // Whether the text, a number as JSON has it, is that of a double; correctly rounded.
    static inline bool rigel_parse_real(const char *begin, const char *end, double *value) {
        auto [stop, error] = std::from_chars(begin, end, *value);
        return error == std::errc() && stop == end;
    }
    """
    bint rigel_parse_real(const char *begin, const char *end, double *value) nogil

cdef extern from "Python.h":
    object PyUnicode_New(Py_ssize_t size, Py_UCS4 maxchar)
    bint PyUnicode_IS_COMPACT_ASCII(object text)
    Py_ssize_t PyUnicode_GET_LENGTH(object text)
    void *PyUnicode_DATA(object text)

cdef enum:
    # Names and types of which the text is remembered: more than most data models have, in a
    # table that stays in the cache of the processor. A power of two.
    NAMES = 1024
    # Digits of an integer that surely fits 64 bits.
    SURE_DIGITS = 18

# Beyond this a double no longer holds every integer.
cdef double EXACT_INTEGERS = 9007199254740992.0


cdef struct Cursor:
    const char *at
    const char *end  # where the bytes have a zero


cdef inline char token(Cursor *c) noexcept nogil:
    """Skips white space; the character that follows."""
    while c.at[0] == b" " or c.at[0] == b"\n" or c.at[0] == b"\r" or c.at[0] == b"\t":
        c.at += 1
    return c.at[0]


cdef inline bint take(Cursor *c, char wanted) noexcept nogil:
    if token(c) != wanted:
        return False
    c.at += 1
    return True


cdef bint skip_string(Cursor *c) noexcept nogil:
    c.at += 1
    while c.at < c.end:
        if c.at[0] == b'"':
            c.at += 1
            return True
        c.at += 2 if c.at[0] == b"\\" else 1
    return False


cdef bint skip_compound(Cursor *c) noexcept nogil:
    """To the end of an object or array, if that is what it is."""
    cdef Py_ssize_t depth = 0
    while c.at < c.end:
        if c.at[0] == b'"':
            if not skip_string(c):
                return False
            continue
        if c.at[0] == b"{" or c.at[0] == b"[":
            depth += 1
        elif c.at[0] == b"}" or c.at[0] == b"]":
            depth -= 1
            if depth == 0:
                c.at += 1
                return True
        c.at += 1
    return False


cdef inline bint is_digit(char c) noexcept nogil:
    return b"0" <= c <= b"9"


cdef inline str ascii_text(const char *start, Py_ssize_t length):
    cdef object text = PyUnicode_New(length, 127)
    memcpy(PyUnicode_DATA(text), start, <size_t>length)
    return <str>text


@cython.final
cdef class PlainParser:
    cdef PlainDecoder _decoder
    cdef object _load
    cdef list _names
    # Of bytes: those of identifiers and of values that are as they are in the text.
    cdef unsigned char _in_identifier[256]
    cdef unsigned char _in_value[256]

    def __init__(self, PlainDecoder decoder not None, load not None):
        cdef int code
        self._decoder = decoder
        self._load = load
        self._names = [None] * NAMES
        for code in range(256):
            self._in_identifier[code] = False
            self._in_value[code] = False
            if 0x20 <= code < 0x80 and code != c'"' and code != c"\\":
                self._in_identifier[code] = decoder._in_identifier[code]
                self._in_value[code] = not decoder._is_forbidden[code]

    def parse_attributes(self, bytes body not None, bint key_values):
        cdef Cursor c
        cdef EntityUpdate update
        open_text(&c, body)
        try:
            update = self._entity(&c, key_values, False)
        except Exception:
            return None
        return None if update is None or token(&c) != 0 or c.at != c.end else update.attributes

    def parse_entity(self, bytes body not None, bint key_values):
        cdef Cursor c
        cdef EntityUpdate update
        open_text(&c, body)
        try:
            update = self._entity(&c, key_values, True)
        except Exception:
            return None
        return None if update is None or token(&c) != 0 or c.at != c.end else update

    def parse_batch(self, bytes body not None, bint key_values):
        cdef Cursor c
        open_text(&c, body)
        try:
            batch = self._batch(&c, key_values)
        except Exception:
            return None
        return None if batch is None or token(&c) != 0 or c.at != c.end else batch

    cdef tuple _batch(self, Cursor *c, bint key_values):
        cdef str action = None
        cdef list updates = None
        cdef str name
        if not take(c, b"{"):
            return None
        while True:
            name = self._name(c)
            if name is None or not take(c, b":"):
                return None
            if action is None and is_literal(name, b"actionType", 10):
                action = self._name(c)
                if action is None:
                    return None
            elif updates is None and is_literal(name, b"entities", 8):
                updates = self._entities(c, key_values)
                if updates is None:
                    return None
            else:
                return None
            if take(c, b"}"):
                break
            if not take(c, b","):
                return None
        return None if action is None or updates is None else (action, updates)

    cdef list _entities(self, Cursor *c, bint key_values):
        cdef list updates = []
        cdef EntityUpdate update
        if not take(c, b"["):
            return None
        while True:
            update = self._entity(c, key_values, True)
            if update is None:
                return None
            updates.append(update)
            if take(c, b"]"):
                return updates
            if not take(c, b","):
                return None

    cdef EntityUpdate _entity(self, Cursor *c, bint key_values, bint has_identity):
        cdef dict attributes = {}
        cdef Py_ssize_t count = 0
        cdef str entity_id = None
        cdef str type_ = None
        cdef str name
        cdef AttributeUpdate update
        if not take(c, b"{"):
            return None
        while True:
            name = self._name(c)
            if name is None or not take(c, b":"):
                return None
            if is_literal(name, b"id", 2):
                if not has_identity or entity_id is not None:
                    return None
                entity_id = self._identifier(c)
                if entity_id is None:
                    return None
            elif is_literal(name, b"type", 4):
                if not has_identity or type_ is not None:
                    return None
                type_ = self._name(c)
                if type_ is None:
                    return None
            elif has_identity and (
                is_literal(name, b"idPattern", 9) or is_literal(name, b"typePattern", 11)
            ):
                return None
            else:
                if key_values:
                    update = self._key_value(c)
                else:
                    update = self._member(c, name)
                if update is None:
                    return None
                PyDict_SetItem(attributes, name, update)
                count += 1
            if take(c, b"}"):
                break
            if not take(c, b","):
                return None
        if PyDict_Size(attributes) != count or (has_identity and entity_id is None):
            return None
        return make_entity_update(entity_id, type_, attributes)

    cdef AttributeUpdate _member(self, Cursor *c, str name):
        cdef AttributeUpdate update = None
        cdef const char *start
        if token(c) != b"{":
            return None
        start = c.at
        if not PySet_Contains(self._decoder._special_names, name):
            update = self._attribute(c)
        if update is None:
            c.at = start
            if not skip_compound(c):
                return None
            update = self._decoder._decode_member(name, self._loaded(start, c.at), False)
        return update

    cdef object _loaded(self, const char *start, const char *end):
        """What the text of a value is; raises an error if it is none."""
        return self._load(PyBytes_FromStringAndSize(start, end - start))

    cdef AttributeUpdate _key_value(self, Cursor *c):
        cdef object value = self._value(c, False)
        cdef PyObject *default
        if value is NOT_PLAIN:
            return None
        default = PyDict_GetItem(self._decoder._default_types, type(value))
        return None if default == NULL else make_attribute_update(<str>default, value, None)

    cdef AttributeUpdate _attribute(self, Cursor *c):
        """None if it is not plain; the cursor is anywhere then."""
        cdef object value = NOT_PLAIN
        cdef str type_ = None
        cdef dict metadata = None
        cdef str field
        cdef PyObject *default
        c.at += 1
        if take(c, b"}"):
            return None
        while True:
            field = self._name(c)
            if field is None or not take(c, b":"):
                return None
            if value is NOT_PLAIN and is_literal(field, b"value", 5):
                value = self._value(c, False)
                if value is NOT_PLAIN:
                    return None
            elif type_ is None and is_literal(field, b"type", 4):
                type_ = self._name(c)
                if type_ is None or PySet_Contains(self._decoder._special_types, type_):
                    return None
            elif metadata is None and is_literal(field, b"metadata", 8):
                metadata = self._metadata(c)
                if metadata is None:
                    return None
            else:
                return None
            if take(c, b"}"):
                break
            if not take(c, b","):
                return None
        if value is NOT_PLAIN:
            value = None
        if type_ is None:
            default = PyDict_GetItem(self._decoder._default_types, type(value))
            if default == NULL:
                return None
            type_ = <str>default
        return make_attribute_update(type_, value, metadata)

    cdef dict _metadata(self, Cursor *c):
        cdef dict metadata = {}
        cdef Py_ssize_t count = 0
        cdef str name
        cdef dict item
        if not take(c, b"{"):
            return None
        if take(c, b"}"):
            return metadata
        while True:
            name = self._name(c)
            if (
                name is None
                or not take(c, b":")
                or PySet_Contains(self._decoder._special_metadata, name)
            ):
                return None
            item = self._metadata_item(c)
            if item is None:
                return None
            PyDict_SetItem(metadata, name, item)
            count += 1
            if take(c, b"}"):
                return metadata if PyDict_Size(metadata) == count else None
            if not take(c, b","):
                return None

    cdef dict _metadata_item(self, Cursor *c):
        cdef object value = NOT_PLAIN
        cdef str type_ = None
        cdef str field
        cdef PyObject *default
        if not take(c, b"{") or take(c, b"}"):
            return None
        while True:
            field = self._name(c)
            if field is None or not take(c, b":"):
                return None
            if value is NOT_PLAIN and is_literal(field, b"value", 5):
                value = self._value(c, True)
                if value is NOT_PLAIN:
                    return None
            elif type_ is None and is_literal(field, b"type", 4):
                type_ = self._name(c)
                if type_ is None or PySet_Contains(self._decoder._special_types, type_):
                    return None
            else:
                return None
            if take(c, b"}"):
                break
            if not take(c, b","):
                return None
        if value is NOT_PLAIN:
            value = None
        if type_ is None:
            default = PyDict_GetItem(self._decoder._default_types, type(value))
            if default == NULL:
                return None
            type_ = <str>default
        return {"type": type_, "value": value}

    cdef object _value(self, Cursor *c, bint in_metadata):
        """In the model's normal form; NOT_PLAIN for what is not plain."""
        cdef const char *start
        cdef char first = token(c)
        cdef object text
        if first == b'"':
            return self._text(c)
        if first == b"-" or is_digit(first):
            return number(c)
        if first == b"t" and c.end - c.at >= 4 and memcmp(c.at, b"true", 4) == 0:
            c.at += 4
            return True
        if first == b"f" and c.end - c.at >= 5 and memcmp(c.at, b"false", 5) == 0:
            c.at += 5
            return False
        if first == b"n" and c.end - c.at >= 4 and memcmp(c.at, b"null", 4) == 0:
            c.at += 4
            return None
        if first != b"{" and first != b"[":
            return NOT_PLAIN
        start = c.at
        if not skip_compound(c):
            return NOT_PLAIN
        # In metadata only a text itself is looked at, not those within an object or array.
        return self._decoder._normal(self._loaded(start, c.at), in_metadata, 0)

    cdef object _text(self, Cursor *c):
        cdef const char *start = c.at
        cdef object text
        c.at += 1
        while self._in_value[<unsigned char>c.at[0]]:
            c.at += 1
        if c.at[0] == b'"':
            c.at += 1
            return ascii_text(start + 1, c.at - start - 2)
        # An escape, a character beyond ASCII, a forbidden one or no text at all.
        c.at = start
        if not skip_string(c):
            return NOT_PLAIN
        text = self._loaded(start, c.at)
        return NOT_PLAIN if self._decoder._has_forbidden(<str?>text) else text

    cdef str _identifier(self, Cursor *c):
        """A text that is an identifier; None for any other and for what is no text."""
        cdef const char *start
        if token(c) != b'"':
            return None
        c.at += 1
        start = c.at
        while self._in_identifier[<unsigned char>c.at[0]]:
            c.at += 1
        if c.at[0] != b'"' or c.at == start or c.at - start > self._decoder._max_length:
            return None
        c.at += 1
        return ascii_text(start, c.at - 1 - start)

    cdef str _name(self, Cursor *c):
        """As `_identifier`, for those that repeat: interned, and remembered by their text."""
        cdef const char *start
        cdef const char *stop
        cdef Py_ssize_t length
        cdef Py_ssize_t index
        cdef unsigned int hash
        cdef PyObject *known
        cdef str name
        if token(c) != b'"':
            return None
        start = c.at + 1
        stop = start
        hash = 2166136261
        while self._in_identifier[<unsigned char>stop[0]]:
            hash = (hash ^ <unsigned char>stop[0]) * 16777619
            stop += 1
        length = stop - start
        if stop[0] != b'"' or length == 0 or length > self._decoder._max_length:
            return None
        c.at = stop + 1
        index = (hash ^ hash >> 15) & (NAMES - 1)
        known = PyList_GET_ITEM(self._names, index)
        if (
            <object>known is not None
            and PyUnicode_GET_LENGTH(<object>known) == length
            and memcmp(PyUnicode_DATA(<object>known), start, <size_t>length) == 0
        ):
            return <str>known
        name = intern(ascii_text(start, length))
        Py_INCREF(name)
        PyList_SetItem(self._names, index, name)
        return name


cdef int open_text(Cursor *c, bytes body) except -1:
    c.at = PyBytes_AS_STRING(body)
    c.end = c.at + PyBytes_GET_SIZE(body)
    return 0


cdef object number(Cursor *c):
    """A number in the model's normal form; NOT_PLAIN where the parser has to say what it is."""
    cdef const char *start = c.at
    cdef const char *digits
    cdef long long integer = 0
    cdef double real
    if c.at[0] == b"-":
        c.at += 1
    digits = c.at
    while is_digit(c.at[0]):
        if c.at - digits < SURE_DIGITS:
            integer = 10 * integer + (c.at[0] - c'0')
        c.at += 1
    if c.at == digits or (digits[0] == b"0" and c.at - digits > 1):
        return NOT_PLAIN
    if c.at[0] != b"." and c.at[0] != b"e" and c.at[0] != b"E":
        if c.at - digits > SURE_DIGITS or (integer == 0 and digits != start):
            return NOT_PLAIN
        return -integer if digits != start else integer
    if c.at[0] == b".":
        c.at += 1
        if not is_digit(c.at[0]):
            return NOT_PLAIN
        while is_digit(c.at[0]):
            c.at += 1
    if c.at[0] == b"e" or c.at[0] == b"E":
        c.at += 1
        if c.at[0] == b"+" or c.at[0] == b"-":
            c.at += 1
        if not is_digit(c.at[0]):
            return NOT_PLAIN
        while is_digit(c.at[0]):
            c.at += 1
    if not rigel_parse_real(start, c.at, &real):
        return NOT_PLAIN
    if fabs(real) <= EXACT_INTEGERS and real == <double><long long>real:
        return <long long>real
    return real
