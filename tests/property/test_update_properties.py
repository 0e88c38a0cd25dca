"""The native kernel of updates against its definitions in Python: documents, changes, records."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

import orjson
from hypothesis import example, given, settings
from hypothesis import strategies as st

from _native.decoding import PlainDecoder
from _native.parsing import PlainParser
from broker import records
from broker.update import (
    PLAIN_UPDATE,
    EntityChange,
    UpdateOptions,
    compute_change,
    equal_values,
    merge_attribute,
    new_attribute,
)
from ngsi.errors import NgsiError
from ngsi.model import (
    DEFAULT_TYPES,
    NO_METADATA,
    Attribute,
    AttributeUpdate,
    Entity,
    UpdateAction,
)
from ngsi.syntax import MAX_IDENTIFIER_LENGTH, MAX_NESTING
from ngsi.v2 import entities as codec
from ngsi.v2.batch import decode_batch_update
from ngsi.v2.document import load_document

BEFORE, NOW = 1_700_000_000.123, 1_700_000_001.0

# Asks the definition about every member and every entity: no name is short enough to be plain.
NOTHING_IS_PLAIN = PlainDecoder(
    decode_member=codec.decode_member,
    default_types=DEFAULT_TYPES,
    special_types=frozenset(),
    special_names=frozenset(),
    special_metadata=frozenset(),
    is_identifier=lambda _: False,
    has_forbidden=lambda _: True,
    max_length=0,
    max_nesting=0,
)

texts = st.text(st.sampled_from("abc<>\"'=;()&/ \\\n\0\x7fé☃𝄞$"), max_size=8)
numbers = (
    st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([0.0, -0.0, 1.0, 20.5, 2.0**53, 2.0**53 + 2, -(2.0**53), 1e16, 1e300, 5e-324])
)
scalars = st.none() | st.booleans() | numbers | texts
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(texts | st.sampled_from(["$inc", "$set", "$push"]), inner, max_size=3)
    ),
    max_leaves=6,
)
dates = st.sampled_from(
    ["2017-06-17T07:21:24.238Z", "2017-06-17", "soon", {"$max": "2017-06-17"}, {"$min": 1}]
)


def nest(value: Any, levels: int, in_object: bool) -> Any:
    for _ in range(levels):
        value = {"a": value} if in_object else [value]
    return value


deep = st.builds(
    nest, scalars, st.integers(MAX_NESTING - 2, MAX_NESTING + 3), in_object=st.booleans()
)
identifiers = st.sampled_from(["temperature", "name", "a", "é", "dateExpires", "TextUnrestricted"])
names = (
    identifiers
    | texts
    | st.sampled_from(["id", "type", "idPattern", "typePattern", "a" * 256, "a" * 257, ""])
)
types = (
    st.sampled_from(
        ["Number", "Text", "DateTime", "ISO8601", "geo:json", "geo:point", "TextUnrestricted"]
    )
    | names
    | scalars
)
metadata = st.dictionaries(
    names,
    st.fixed_dictionaries({}, optional={"type": types, "value": values | dates, "odd": st.none()})
    | scalars,
    max_size=3,
)
attributes = st.fixed_dictionaries(
    {},
    optional={
        "type": types,
        "value": values | dates | deep,
        "metadata": metadata | scalars,
        "odd": scalars,
    },
)
members = attributes | values | deep
documents = st.dictionaries(names, members, max_size=4)
plain_attributes = st.fixed_dictionaries(
    {"value": scalars},
    optional={
        "type": st.sampled_from(["Number", "Text", "DateTime"]),
        "metadata": st.dictionaries(
            st.sampled_from(["unit", "accuracy"]),
            st.fixed_dictionaries({"value": scalars}, optional={"type": st.just("Text")}),
            max_size=2,
        ),
    },
)
plain_documents = st.dictionaries(
    st.sampled_from(["temperature", "name", "unit", "size"]), plain_attributes, max_size=4
)


def outcome(call: Callable[..., Any], *arguments: Any) -> str:
    """What a call gives, or the error that it raises; with types, unlike equality."""
    try:
        return repr(call(*arguments))
    except NgsiError as error:
        return repr((type(error), error.description))


@contextmanager
def in_general() -> Iterator[None]:
    """Decode as if there were no faster way for anything."""
    parser = PlainParser(NOTHING_IS_PLAIN, load_document)
    with patch.object(codec, "_PLAIN", NOTHING_IS_PLAIN), patch.object(codec, "_PARSER", parser):
        yield


@settings(max_examples=400)
@given(documents | plain_documents, st.booleans())
def test_attributes_are_decoded_as_the_definition_has_it(
    document: dict[str, Any], key_values: bool
) -> None:
    body = orjson.dumps(document)
    found = outcome(codec.decode_attributes, body, key_values)
    with in_general():
        assert found == outcome(codec.decode_attributes, body, key_values)


def show_entity(document: Any, key_values: bool) -> Any:
    update = codec.decode_entity_object(document, key_values)
    return update.id, update.type, update.attributes


@settings(max_examples=400)
@given(
    st.fixed_dictionaries({}, optional={"id": names | values, "type": names | values}),
    documents | plain_documents,
    st.booleans(),
)
@example({"id": "a"}, {"type": "T", "idPattern": {"value": 1}}, False)
@example({"id": "a" * (MAX_IDENTIFIER_LENGTH + 1)}, {"a": {"value": "<"}}, False)
def test_entities_are_decoded_as_the_definition_has_it(
    identity: dict[str, Any], document: dict[str, Any], key_values: bool
) -> None:
    entity = orjson.loads(orjson.dumps(document | identity))
    found = outcome(show_entity, entity, key_values)
    with in_general():
        assert found == outcome(show_entity, entity, key_values)


def show_posted(body: bytes, key_values: bool) -> Any:
    update = codec.decode_entity(body, key_values)
    return update.id, update.type, update.attributes


def show_batch(body: bytes, key_values: bool) -> Any:
    action, updates_ = decode_batch_update(body, key_values)
    return action, [(update.id, update.type, update.attributes) for update in updates_]


@settings(max_examples=400)
@given(
    st.fixed_dictionaries({}, optional={"id": names | values, "type": names | values}),
    documents | plain_documents,
    st.booleans(),
)
def test_posted_entities_are_decoded_as_the_definition_has_it(
    identity: dict[str, Any], document: dict[str, Any], key_values: bool
) -> None:
    body = orjson.dumps(identity | document)
    found = outcome(show_posted, body, key_values)
    with in_general():
        assert found == outcome(show_posted, body, key_values)


batches = st.fixed_dictionaries(
    {},
    optional={
        "actionType": st.sampled_from(["append", "UPDATE", "appendStrict", "remove", "a b", 1]),
        "entities": st.lists(
            st.builds(
                dict[str, Any].__or__,
                plain_documents | documents,
                st.just({"id": "Room1", "type": "Room"}) | st.just({"id": "Room1"}),
            )
            | values,
            max_size=3,
        ),
        "odd": st.none(),
    },
)


@settings(max_examples=300)
@given(batches, st.booleans())
def test_batches_are_decoded_as_the_definition_has_it(
    document: dict[str, Any], key_values: bool
) -> None:
    body = orjson.dumps(document)
    found = outcome(show_batch, body, key_values)
    with in_general():
        assert found == outcome(show_batch, body, key_values)


def spoil(body: bytes, cuts: list[tuple[int, bytes]]) -> bytes:
    """The text with bytes put over it here and there."""
    for at, over in cuts:
        at %= len(body) + 1
        body = body[:at] + over + body[at + (len(over) if at % 2 else 0) :]
    return body


scraps = st.sampled_from(
    [
        *(
            b" ",
            b"\n",
            b"0",
            b"-",
            b"-0",
            b".5",
            b"1.",
            b"1e5",
            b"E+2",
            b"1e999",
            b"1" * 20,
            b"NaN",
        ),
        *(b'"', b"\\", b'\\"', b"\\u00e9", b"\\ud800", b"{", b"}", b"[", b"]", b",", b":", b"/**/"),
        *(b"true", b"nul", b"\0", b"\xff", b"\xc3\xa9", b"\xed\xa0\x80", b"\x01", b"\x7f"),
        *(b'"type":"DateTime",', b'"id":"a",', b'"value":2,', b'"temperature":{"value":1},'),
    ]
) | st.binary(max_size=2)


@settings(max_examples=1500)
@given(
    st.builds(
        dict[str, Any].__or__,
        st.just({"id": "Room1"}) | st.just({}),
        plain_documents | documents,
    ),
    st.lists(st.tuples(st.integers(0, 500), scraps), max_size=3),
    st.booleans(),
)
@example({"a": {"value": 1}}, [(100, b"\\")], False)
def test_texts_are_read_as_the_parser_reads_them(
    document: dict[str, Any], cuts: list[tuple[int, bytes]], key_values: bool
) -> None:
    body = spoil(orjson.dumps(document), cuts)
    batch = b'{"actionType":"append","entities":[%b]}' % body
    calls = (
        (codec.decode_attributes, body),
        (show_posted, body),
        (show_batch, batch),
        (show_batch, batch[: len(batch) // 2]),
    )
    found = [outcome(call, text, key_values) for call, text in calls]
    with in_general():
        assert found == [outcome(call, text, key_values) for call, text in calls]


@given(numbers, st.sampled_from(["%s", "%.3f", "%e", "%.17g", "%.25f", "%g"]))
def test_numbers_are_read_as_the_parser_reads_them(number: float, form: str) -> None:
    body = b'{"a":{"value":%b}}' % (form % number).encode()
    found = outcome(codec.decode_attributes, body, False)
    with in_general():
        assert found == outcome(codec.decode_attributes, body, False)


def test_plain_texts_do_not_ask_the_parser() -> None:
    def refuse(text: bytes) -> Any:
        raise AssertionError(text)

    parser = PlainParser(codec._PLAIN, refuse)
    body = b"""{ "temperature": {"type": "Number", "value": 20.0, "metadata": {
        "unit": {"value": "K"}}}, "is on": 1, "name": {"value": "a b"} }"""
    assert parser.parse_attributes(body, key_values=False) is None
    found = parser.parse_attributes(body.replace(b'"is on": 1, ', b""), key_values=False)
    assert repr(found) == repr(
        {
            "temperature": AttributeUpdate("Number", 20, {"unit": {"type": "Text", "value": "K"}}),
            "name": AttributeUpdate("Text", "a b", None),
        }
    )


def test_plain_attributes_do_not_ask_the_definition() -> None:
    def refuse(name: str, member: Any, key_values: bool) -> AttributeUpdate:
        raise AssertionError(name)

    decoder = PlainDecoder(
        decode_member=refuse,
        default_types=DEFAULT_TYPES,
        special_types=frozenset({"DateTime"}),
        special_names=frozenset({"dateExpires"}),
        special_metadata=frozenset({"TextUnrestricted"}),
        is_identifier=str.isalnum,
        has_forbidden=lambda character: character == "<",
        max_length=MAX_IDENTIFIER_LENGTH,
        max_nesting=MAX_NESTING,
    )
    document = {
        "temperature": {"type": "Number", "value": 20.0, "metadata": {"unit": {"value": "K"}}},
        "places": {"value": [{"x": 1.0}, "é"]},
    }
    decoded = decoder.decode_attributes(document, key_values=False)
    assert repr(decoded) == repr(
        {
            "temperature": AttributeUpdate("Number", 20, {"unit": {"type": "Text", "value": "K"}}),
            "places": AttributeUpdate("StructuredValue", [{"x": 1}, "é"], None),
        }
    )
    # What is normal already is not made anew, and what is given is left as it is.
    assert document["places"] == {"value": [{"x": 1.0}, "é"]}
    assert decoder.decode_entity({"id": "a<"}, key_values=False) is None


# Changes

stored_values = (
    scalars | st.lists(scalars, max_size=2) | st.dictionaries(texts, scalars, max_size=2)
)
few_values = (
    st.sampled_from(
        [1, True, 1.5, "a", "b", None, [1], [True], {"a": 1}, {"a": True}, [0.5], "2017-06-17"]
    )
    | stored_values
)
stored_metadata = st.dictionaries(
    st.sampled_from(["unit", "accuracy"]),
    st.fixed_dictionaries({"type": st.sampled_from(["Text", "Number"]), "value": few_values}),
    max_size=2,
)
some_names = st.sampled_from(["a", "b", "c", "d"])
stored_attributes = st.dictionaries(
    some_names,
    st.builds(
        Attribute,
        st.sampled_from(["Text", "Number", "DateTime"]),
        few_values,
        st.just(NO_METADATA) | stored_metadata,
        st.just(BEFORE),
        st.just(BEFORE),
    ),
    max_size=4,
)
operations = st.sampled_from(
    [{"$inc": 1}, {"$push": 2}, {"$unset": {"a": 1}}, {"$set": {"b": 2}}, {"$foo": 1}, {"$max": 3}]
)
updates = st.dictionaries(
    some_names,
    st.builds(
        AttributeUpdate,
        st.none() | st.sampled_from(["Text", "Number", "DateTime"]),
        few_values | operations,
        st.none() | stored_metadata,
        st.booleans(),
    ),
    max_size=4,
)
options = st.just(PLAIN_UPDATE) | st.builds(UpdateOptions, st.booleans(), st.booleans())
actions = st.sampled_from(UpdateAction)


def show_change(change: EntityChange) -> tuple[Any, ...]:
    return (
        list(change.touched.items()),
        list(change.removed.items()),
        list(change.attributes.items()),
        change.missing,
        change.existing,
        sorted(change.updated),
        sorted(change.changed_values),
        sorted(change.changed_metadata),
        sorted(change.previous.items()),
        sorted(change.actions.items()),
        [(item.created, item.modified) for item in change.attributes.values()],
    )


def define_change(
    current: dict[str, Attribute],
    wanted: dict[str, AttributeUpdate],
    action: UpdateAction,
    with_options: UpdateOptions,
) -> tuple[Any, ...]:
    """What an update comes to, attribute by attribute (as `show_change`)."""
    touched: dict[str, Attribute] = {}
    removed: dict[str, Attribute] = {}
    missing, existing, updated, values_of, metadata_of = [], [], [], [], []
    done: dict[str, str] = {}
    for name, update in wanted.items():
        former = current.get(name)
        if action is UpdateAction.DELETE:
            if former is None:
                missing.append(name)
                continue
            removed[name] = former
            is_value, is_metadata = True, True
        elif former is None or action is UpdateAction.REPLACE:
            if action is UpdateAction.UPDATE:
                missing.append(name)
                continue
            attribute = new_attribute(update, NOW)
            if attribute is None:
                continue
            touched[name] = attribute
            is_value, is_metadata = True, True
            done[name] = "append" if former is None else "update"
        elif action is UpdateAction.APPEND_STRICT:
            existing.append(name)
            continue
        else:
            merged, is_value, is_metadata = merge_attribute(former, update, with_options, NOW)
            if merged is not None:
                touched[name] = merged
            done[name] = "update"
        updated.append(name)
        values_of += [name] * is_value
        metadata_of += [name] * is_metadata
    if action is UpdateAction.REPLACE:
        removed = {name: former for name, former in current.items() if name not in touched}
        updated += removed
        values_of += removed
        attributes_now = touched
    else:
        attributes_now = {n: item for n, item in (current | touched).items() if n not in removed}
    return (
        list(touched.items()),
        list(removed.items()),
        list(attributes_now.items()),
        missing,
        existing,
        sorted(updated),
        sorted(values_of),
        sorted(metadata_of),
        sorted((name, current[name]) for name in updated if name in current),
        sorted(done.items()),
        [(item.created, item.modified) for item in attributes_now.values()],
    )


@settings(max_examples=600)
@given(stored_attributes, updates, actions, options)
def test_a_change_is_what_the_definition_has_it(
    current: dict[str, Attribute],
    wanted: dict[str, AttributeUpdate],
    action: UpdateAction,
    with_options: UpdateOptions,
) -> None:
    before = repr(current)

    def compute() -> tuple[Any, ...]:
        return show_change(compute_change(current, wanted, action, with_options, NOW))

    expected = outcome(define_change, current, wanted, action, with_options)
    assert outcome(compute) == expected
    assert repr(current) == before


@given(stored_attributes, updates, actions, st.booleans())
def test_a_change_is_applied_as_it_says(
    current: dict[str, Attribute],
    wanted: dict[str, AttributeUpdate],
    action: UpdateAction,
    looked_at: bool,
) -> None:
    entity = Entity("a", "T", "/", dict(current), BEFORE, BEFORE, 0)
    try:
        change = compute_change(entity.attributes, wanted, action, PLAIN_UPDATE, NOW)
    except NgsiError:
        return
    expected = define_change(current, wanted, action, PLAIN_UPDATE)[2]
    size = len(expected)
    concerned = len(change.touched) + len(change.removed)
    if action is not UpdateAction.REPLACE:
        assert change.is_minor == (2 * concerned <= size)
    if looked_at:
        assert repr(list(change.attributes.items())) == repr(expected)
    change.apply_to(entity, NOW, 1)
    assert repr(list(entity.attributes.items())) == repr(expected)


def equal_by_text(a: Any, b: Any) -> bool:
    """The definition of equality, of values in the model's normal form."""
    if type(a) is not type(b):
        return False
    if type(a) is dict or type(a) is list:
        options_ = orjson.OPT_SORT_KEYS
        return orjson.dumps(a, option=options_) == orjson.dumps(b, option=options_)
    return bool(a == b)


@given(
    st.tuples(values, values) | values.map(lambda value: (value, orjson.loads(orjson.dumps(value))))
)
def test_values_are_equal_where_their_texts_are(pair: tuple[Any, Any]) -> None:
    a, b = pair
    assert equal_values(a, b) == equal_by_text(a, b)


# Records


def as_stored(items: dict[str, Attribute]) -> dict[str, Any]:
    return {
        name: [item.type, item.value, item.metadata, item.created, item.modified]
        for name, item in items.items()
    }


any_text = st.text(max_size=20)
times = st.floats(0, 4e9, allow_nan=False)
any_attributes = st.dictionaries(
    any_text,
    st.builds(
        Attribute,
        any_text,
        values | any_text,
        st.dictionaries(any_text, st.fixed_dictionaries({"value": values}), max_size=2),
        times,
        times,
    ),
    max_size=4,
)


@given(any_attributes, st.lists(any_text, max_size=3, unique=True), times, times)
def test_documents_say_what_the_entity_is(
    items: dict[str, Attribute], locations: list[str], created: float, modified: float
) -> None:
    entity = Entity("Room", "T", "/", {}, created, created, 17)
    stored = orjson.loads(records.encode_entity(entity, items, locations, modified))
    expected = {
        "s": 17,
        "c": created,
        "m": modified,
        "l": None if not locations else locations[0] if len(locations) == 1 else locations,
        "a": as_stored(items),
    }
    assert repr(stored) == repr(expected)


@given(any_attributes, any_attributes, st.booleans(), st.lists(any_text, max_size=2), times)
def test_records_of_a_change_say_what_changes(
    former: dict[str, Attribute],
    items: dict[str, Attribute],
    is_replacement: bool,
    locations: list[str],
    modified: float,
) -> None:
    entity = Entity("Room", "T", "/", former, BEFORE, BEFORE, 17)
    change = EntityChange(former, is_replacement=is_replacement)
    removed = [name for name in former if name not in items]
    if not is_replacement:
        removed = removed[:1]
    for name, attribute in items.items():
        change.note_update(name, attribute, True, False)
    for name in removed:
        change.note_removal(name, is_metadata_changed=True)
    stored = orjson.loads(records.encode_change(change, locations, modified))
    assert stored["m"] == modified
    assert repr(stored["a"]) == repr(as_stored(items) | dict.fromkeys(removed))
    whole = records.encode_changed_entity(entity, change, locations, modified)
    assert whole == records.encode_entity(entity, change.attributes, locations, modified)


@given(any_text, any_text, any_text)
def test_keys_say_whose_document_it_is(tenant: str, entity_id: str, path: str) -> None:
    entity = Entity(entity_id, "Tü", path, {}, BEFORE, BEFORE, 0)
    key = records.entity_key(tenant, entity)
    assert key.decode() == records.SEPARATOR.join(("e", tenant, path, entity_id, "Tü"))


def test_what_is_no_json_is_refused() -> None:
    for value, error in (({1}, TypeError), (2**64, OverflowError), ("\ud800", ValueError)):
        attribute = Attribute("T", [value], {}, BEFORE, BEFORE)
        entity = Entity("a", "T", "/", {"a": attribute}, BEFORE, BEFORE, 0)
        try:
            records.encode_entity(entity, entity.attributes, (), NOW)
        except error:
            continue
        raise AssertionError(f"{value!r} was encoded")


def test_objects_are_freed_with_what_they_hold() -> None:
    value = ["a value"]
    before = sys.getrefcount(value)
    attribute = Attribute("T", value, {}, BEFORE, NOW)
    entity = Entity("a", "T", "/", {"a": attribute}, BEFORE, BEFORE, 0)
    change = compute_change(
        entity.attributes,
        {"a": AttributeUpdate("T", value, None)},
        UpdateAction.REPLACE,
        PLAIN_UPDATE,
        NOW,
    )
    change.apply_to(entity, NOW, 1)
    assert sys.getrefcount(value) > before
    del attribute, entity, change
    assert sys.getrefcount(value) == before
