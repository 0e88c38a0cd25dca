# Shared by all attributes without metadata; never written to.
cdef dict NO_METADATA


cdef class Attribute:
    cdef readonly str type
    cdef readonly object value
    cdef readonly dict metadata
    cdef readonly double created
    cdef readonly double modified


cdef class AttributeUpdate:
    cdef readonly str type
    cdef readonly object value
    cdef readonly dict metadata
    cdef readonly bint only_value


cdef class EntityUpdate:
    cdef readonly str id
    cdef readonly str type
    cdef readonly dict attributes


cdef class Entity:
    cdef readonly str id
    cdef readonly str type
    cdef readonly str service_path
    cdef public dict attributes
    cdef public tuple locations
    cdef public tuple shapes
    cdef readonly double created
    cdef public double modified
    cdef double _expires  # NaN: never
    cdef public long long sequence
    cdef public long long size


cdef Attribute make_attribute(str type, object value, dict metadata, double created, double modified)
cdef AttributeUpdate make_attribute_update(str type, object value, dict metadata)
cdef EntityUpdate make_entity_update(str id, str type, dict attributes)
