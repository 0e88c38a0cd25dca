from _native.model cimport AttributeUpdate


cdef class PlainDecoder:
    cdef object _decode_member
    cdef dict _default_types
    cdef frozenset _special_types
    cdef frozenset _special_names
    cdef frozenset _special_metadata
    cdef Py_ssize_t _max_length
    cdef int _max_nesting
    # Of the characters of ASCII.
    cdef unsigned char _in_identifier[128]
    cdef unsigned char _is_forbidden[128]

    cdef dict _attributes(self, dict document, bint key_values)
    cdef AttributeUpdate _key_value(self, object value)
    cdef AttributeUpdate _attribute(self, dict document)
    cdef dict _metadata(self, object document)
    cdef dict _metadata_item(self, dict document)
    cdef str _type(self, object content)
    cdef bint _is_identifier(self, str text) noexcept
    cdef bint _has_forbidden(self, str text) noexcept
    cdef object _normal(self, object value, bint unrestricted, int depth)
    cdef object _normal_object(self, dict value, bint unrestricted, int depth)
    cdef object _normal_array(self, list value, bint unrestricted, int depth)


# What `_normal` gives for a value that is an error.
cdef object NOT_PLAIN
cdef str intern(str text)
cdef bint is_literal(str text, const char *literal, Py_ssize_t length) noexcept
