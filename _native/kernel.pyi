from collections.abc import Callable
from typing import Any, TypeAlias, final

from _native.changes import EntityChange, UpdateRules
from _native.model import Entity, EntityUpdate
from _native.ticks import TickRecords

_Index: TypeAlias = Any

@final
class UpdateKernel:
    """Does ordinary updates from the look-up to the journal.

    `place_types` are the attribute types of locations, `expiry` is the name of the attribute that
    says when an entity expires. A record over `max_document` bytes or an entity that may be over
    `max_size` is not ordinary.
    """

    def __init__(
        self,
        *,
        rules: UpdateRules,
        place_types: frozenset[str],
        expiry: str,
        journal: TickRecords,
        clock: Callable[[], float],
        max_document: int,
        max_size: int,
    ) -> None: ...
    def update(
        self,
        entities: dict[str, Entity | list[Entity]],
        tenant: str,
        service_path: str,
        update: EntityUpdate,
        creates: bool,
        keeps_former: bool,
        apart: dict[str, _Index],
    ) -> EntityChange | None:
        """Changes attributes of an entity and, with `creates`, adds others.

        A change of an attribute whose name is `apart` is not ordinary (they are in an index).

        Gives what was done, as a brief change unless it `keeps_former`; None when the update is
        not ordinary, and then nothing was done. Raises what the rules and the journal's `admit`
        raise, before anything is changed. About 2 us for two attributes.
        """
    def update_all(
        self,
        entities: dict[str, Entity | list[Entity]],
        tenant: str,
        service_path: str,
        updates: list[EntityUpdate],
        first: int,
        creates: bool,
        apart: dict[str, _Index],
    ) -> int:
        """Does `updates` from the `first` one on, in turn; gives the place of the first that was
        not done, because it is not ordinary or because something was raised."""
