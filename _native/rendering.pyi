from collections.abc import Callable
from typing import Any

from _native.events import EntityEvent
from _native.model import Attribute, Entity

class EntityEncoder:
    """Writes the JSON text of entities as `ngsi.v2.render` shows them.

    `builtin_attribute(entity, name, event)` gives those named in `builtins`, or None;
    `shown_value(attribute)` what is shown of an object in an attribute of `place_type`. The
    attribute `hidden` is shown where it is asked for by name alone. `default_type(value)` is the
    type of an attribute without one, `default_entity_type` that of an entity.
    """

    def __init__(
        self,
        *,
        builtin_attribute: Callable[[Entity, str, EntityEvent | None], Attribute | None],
        builtins: frozenset[str],
        shown_value: Callable[[Attribute], Any],
        place_type: str,
        hidden: str,
        default_type: Callable[[Any], str],
        default_entity_type: str,
    ) -> None: ...
    def encode(
        self,
        entity: Entity,
        event: EntityEvent | None,
        wanted: tuple[str, ...],
        excluded: frozenset[str],
        is_normalized: bool,
    ) -> bytes | None:
        """The text of the form normalized, or else keyValues, of the state of the event, if
        there is one. `wanted` are names without "*" and each once; () for all but `excluded`.

        None for an entity with an attribute "id" or "type". Raises ValueError, TypeError,
        OverflowError or RecursionError for what JSON cannot say. Costs some nanoseconds a byte.
        """
