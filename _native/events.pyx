# cython: language_level=3, boundscheck=False, wraparound=False
"""What an update did to an entity, as subscriptions look at it.

`ngsi.model` is the door and says what it means. One is made for every update where there are
subscriptions.
"""

cimport cython

from _native.changes cimport EntityChange
from _native.model cimport Entity

cdef frozenset NOTHING = frozenset()


@cython.final
@cython.no_gc
@cython.freelist(16)
cdef class EntityEvent:
    def __init__(
        self,
        Entity entity not None,
        dict attributes not None,
        alteration not None,
        frozenset updated not None,
        frozenset changed_values not None,
        frozenset changed_metadata not None,
        dict previous=None,
        dict actions=None,
    ):
        self.entity = entity
        self.attributes = attributes
        self.alteration = alteration
        self.updated = updated
        self.changed_values = changed_values
        self.changed_metadata = changed_metadata
        self.previous = {} if previous is None else previous
        self.actions = {} if actions is None else actions

    def with_attributes(self, dict attributes not None, Entity entity=None):
        """The same but for the state to notify, and maybe the entity."""
        return EntityEvent(
            self.entity if entity is None else entity,
            attributes,
            self.alteration,
            self.updated,
            self.changed_values,
            self.changed_metadata,
            self.previous,
            self.actions,
        )

    def __repr__(self):
        return f"EntityEvent({self.entity!r}, {self.alteration!r})"


cdef frozenset names_of(list names):
    return NOTHING if names is None else frozenset(names)


def event_of(Entity entity not None, EntityChange change not None, alteration not None):
    """The event of a change that was applied; `keep_former` was called before."""
    cdef EntityEvent event = EntityEvent.__new__(EntityEvent)
    change.keep_former()
    event.entity = entity
    event.attributes = entity.attributes
    event.alteration = alteration
    event.updated = names_of(change._updated)
    event.changed_values = names_of(change._changed_values)
    event.changed_metadata = names_of(change._changed_metadata)
    event.previous = change._previous
    event.actions = change._actions
    return event
