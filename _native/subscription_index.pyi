from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any, Final, Protocol, TypeAlias, final

from _native.geometry import Annulus, Region

# Operations of predicates.
EXISTS: Final[int]
ABSENT: Final[int]
EQUAL: Final[int]  # low: a scalar
ONE_OF: Final[int]  # low: a collection of scalars
NUMBER_RANGE: Final[int]  # low, high: numbers, None for no end
TEXT_RANGE: Final[int]  # low, high: texts in the order of code points, None for no end

# Flags of predicates.
NEGATED: Final[int]  # the property exists and the comparison does not hold
OPEN_LOW: Final[int]  # without the end itself
OPEN_HIGH: Final[int]
DATED: Final[int]  # the texts are canonical instants, compared with values of a date type only

# Alterations, to be added up for a trigger; with ON_METADATA_TOO if changed metadata counts.
ON_CREATE: Final[int]
ON_CHANGE: Final[int]
ON_UPDATE: Final[int]
ON_DELETE: Final[int]
ON_METADATA_TOO: Final[int]

# What one subscription may have; `add` raises ValueError for more.
MAX_ATTRIBUTES: Final[int]
MAX_PREDICATES: Final[int]
MAX_KEYS: Final[int]  # scalars of all ONE_OF together
MAX_BOXES: Final[int]
MAX_TEXT_BYTES: Final[int]
MAX_NUMBER_SIZE: Final[float]  # numbers of predicates are smaller than it, either sign

DEFAULT_BLOCK: Final[int]

Side: TypeAlias = str | int | None  # a text, the number of a pattern, or any
# attribute, metadata or None, path into the value, operation, flags, low, high
Predicate: TypeAlias = tuple[str, str | None, tuple[str, ...], int, int, Any, Any]
BoxLike: TypeAlias = tuple[float, float, float, float]  # west, south, east, north in degrees

class AttributeLike(Protocol):
    @property
    def value(self) -> Any: ...
    @property
    def type(self) -> str: ...
    @property
    def metadata(self) -> Mapping[str, Mapping[str, Any]]: ...

class EntityLike(Protocol):
    @property
    def id(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def service_path(self) -> str: ...

class EventLike(Protocol):
    @property
    def entity(self) -> EntityLike: ...
    @property
    def attributes(self) -> dict[str, Any]: ...  # of AttributeLike
    @property
    def updated(self) -> Collection[str]: ...
    @property
    def changed_values(self) -> Collection[str]: ...
    @property
    def changed_metadata(self) -> Collection[str]: ...

# what `match` takes
PreparableEvent: TypeAlias = tuple[
    EventLike,
    int,
    Iterable[tuple[float, float]],
    Iterable[BoxLike],
    Iterable[int],
    Iterable[int],
]

@final
class EventBatch:
    """Events made ready by `SubscriptionIndex.prepare`; valid until the index changes."""

    def __len__(self) -> int: ...

@final
class SubscriptionIndex:
    """Which subscriptions an event triggers; subscriptions in neutral terms, by handle.

    `date_types`: types of attributes and metadata whose texts are instants. `seconds_of`: the
    seconds since 1970 of such a text that is not canonical, None if it is no instant. `block`:
    members that are scanned one by one before they get a structure; for tests of it.

    For one thread; `match_many` lets others run, and what they call here meanwhile raises
    RuntimeError. Costs of matching follow the hits, see docs/architecture.md.
    """

    def __new__(
        cls,
        date_types: Collection[str],
        seconds_of: Callable[[str], float | None],
        *,
        block: int,
    ) -> SubscriptionIndex: ...
    def __len__(self) -> int: ...
    def __contains__(self, handle: int) -> bool: ...
    def add(
        self,
        selectors: Iterable[tuple[Side, Side]],
        attributes: Collection[str],
        trigger: int,
        service_path: str,
        predicates: Iterable[Predicate],
        boxes: Iterable[BoxLike],
        area: Annulus | Region | None,
        verify: bool,
    ) -> int:
        """The handle of a new subscription: above all handles before, never given again.

        An event triggers it if one of the selectors (id, type) means the entity, the trigger
        and the condition attributes (empty: any) its alteration, the service path (open
        downwards with a trailing "/#") covers the entity's, all predicates hold, one of the
        boxes, if any, meets one of the event's, and one of the event's positions is in the
        area, if any. `verify`: it asks for more than that.

        2 to 4 us. Raises ValueError with nothing changed.
        """
    def remove(self, handle: int) -> bool:
        """False if the handle is unknown. 1 to 2 us."""
    @staticmethod
    def slot(handle: int) -> int:
        """A small number that no other subscription has while this one is in."""
    @property
    def has_places(self) -> bool:
        """Whether a subscription has boxes or an area, so that an event's places are looked at."""
    def match(
        self,
        event: EventLike,
        alteration: int,
        positions: Iterable[tuple[float, float]],
        boxes: Iterable[BoxLike],
        id_patterns: Iterable[int],
        type_patterns: Iterable[int],
    ) -> tuple[list[int], list[int]]:
        """Handles, oldest first: of those triggered, and of those to be tested exactly.

        `positions`: longitude and latitude of the entity's locations that are points; `boxes`
        are around the others, which an area decides nothing about.
        """
    def prepare(self, events: Iterable[PreparableEvent]) -> EventBatch:
        """Events with what `match` takes, translated once."""
    def match_many(self, batch: EventBatch) -> list[tuple[list[int], list[int]]]:
        """As `match`, for each event. Raises ValueError if the index changed meanwhile."""
    def count_matches(self, batch: EventBatch) -> tuple[int, int]:
        """How many handles `match_many` would give of either kind; makes no objects."""
    def check(self) -> None:
        """Raises RuntimeError if an invariant does not hold. Visits everything; for tests."""
    def memory_bytes(self) -> int:
        """Bytes of the index, without the names of attributes. Visits everything."""
