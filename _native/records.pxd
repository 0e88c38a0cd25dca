from _native.changes cimport EntityChange
from _native.model cimport Entity


cpdef bytes entity_key(str tenant, Entity entity)
cpdef bytes encode_change(EntityChange change, object locations, double modified)
cpdef bytes encode_changed_entity(
    Entity entity, EntityChange change, object locations, double modified
)
