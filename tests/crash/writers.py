"""Clients that change entities and subscriptions of their own and remember what was answered.

A `Writer` has one request in flight. What the broker acknowledged is its `state`; the request
that was not answered when the connection ended is `pending`. After a restart `settle` compares
with what the broker has: the state, or the state after the whole of the pending change.

Every update of an entity gives `version` and `copy` the same new number, and every change is
one that the broker has to store.
"""

from __future__ import annotations

import http.client
import json
import random
import threading
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

ANSWER_TIMEOUT_S: Final = 60.0  # only a broker that hangs takes so long
ENTITY: Final = "entity"
SUBSCRIPTION: Final = "subscription"
_ENTITY_TYPE: Final = "Kept"
_ENTITIES: Final = 6  # of a writer: few, so that each is created, changed and deleted often
_SUBSCRIPTIONS: Final = 3
_TEXT_LENGTH_MAX: Final = 400  # frames of different sizes
_PAGE: Final = 1000  # the broker's longest page; all writers together have less

# A kind of state and its name: an entity's id, a subscription's description.
Key: TypeAlias = tuple[str, str]
Document: TypeAlias = dict[str, Any]
World: TypeAlias = dict[Key, Document]


@dataclass(frozen=True, slots=True)
class Change:
    """A request, and what it makes of the state: None for what is gone."""

    method: str
    path: str
    body: Any
    status: int
    effect: Mapping[Key, Document | None]

    def apply(self, state: World) -> World:
        """The state after the whole change."""
        after = {**state, **self.effect}
        return {key: document for key, document in after.items() if document is not None}


class Worker(Protocol):
    """Who works on a broker until it is told to stop or the broker ends."""

    def run(self, port: int, stop: threading.Event, on_answer: Callable[[], None]) -> None:
        """Work; `on_answer` is called after each acknowledged change."""


class Writer:
    """One client with entities and subscriptions that nobody else touches."""

    def __init__(self, name: str, seed: float, url: str) -> None:
        """`url`: where its subscriptions notify."""
        self.name = name
        self.state: World = {}
        self.pending: Change | None = None
        self.acknowledged = 0
        self._subscription_ids: dict[str, str] = {}
        self._random = random.Random(seed)
        self._url = url
        self._version = 0

    def run(self, port: int, stop: threading.Event, on_answer: Callable[[], None]) -> None:
        """Change one thing after the other until `stop` is set or the connection ends.

        `on_answer` is called after each acknowledged change. Raises AssertionError when the
        broker refuses one.
        """
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_TIMEOUT_S)
        try:
            while not stop.is_set():
                self.pending = change = self._choose()
                location = send(connection, change)
                self.state = change.apply(self.state)
                self.pending = None
                if location.startswith("/v2/subscriptions/"):
                    ((_, description),) = change.effect
                    self._subscription_ids[description] = location.rpartition("/")[2]
                self.acknowledged += 1
                on_answer()
        except (ConnectionError, http.client.HTTPException):
            pass  # the broker ended; `settle` looks what became of the pending change
        finally:
            connection.close()

    def settle(self, found: World, ids: Mapping[str, str], may_be_applied: bool = True) -> None:
        """Compare with what a restarted broker has, and go on from there.

        `ids`: of the subscriptions, by description. `may_be_applied`: whether the pending
        change may be there; it has to be there as a whole or not at all.
        """
        mine = {key: value for key, value in found.items() if self.owns(key)}
        pending, self.pending = self.pending, None
        if mine != self.state:
            after = self.state if pending is None else pending.apply(self.state)
            assert mine == after, _explain(self.name, self.state, pending, mine)
            assert may_be_applied, f"{self.name}: done but not answered: {pending}"
            self.state = after
        self._subscription_ids = {
            name: number for name, number in ids.items() if self.owns((SUBSCRIPTION, name))
        }

    def owns(self, key: Key) -> bool:
        """Whether a thing is this writer's."""
        return key[1].startswith(f"{self.name}-")

    def _choose(self) -> Change:
        self._version += 1
        entities = [name for kind, name in self.state if kind == ENTITY]
        subscriptions = [name for kind, name in self.state if kind == SUBSCRIPTION]
        choices: list[Callable[[], Change]] = [self._write_batch]
        if len(entities) < _ENTITIES:
            choices += [self._create] * 2
        if entities:
            choices += [self._update] * 4
            choices += [self._append, self._replace, self._delete, self._delete_batch]
        if any("extra" in self.state[ENTITY, name] for name in entities):
            choices.append(self._remove_attribute)
        if len(subscriptions) < _SUBSCRIPTIONS:
            choices.append(self._subscribe)
        if subscriptions:
            choices += [self._change_subscription, self._unsubscribe]
        return self._random.choice(choices)()

    # Entities

    def _create(self) -> Change:
        name = self._pick(name for name in self._names() if (ENTITY, name) not in self.state)
        attributes = self._attributes()
        body = {"id": name, "type": _ENTITY_TYPE, **attributes}
        return Change(
            "POST", "/v2/entities?options=keyValues", body, 201, self._write({name: attributes})
        )

    def _update(self) -> Change:
        name = self._pick_entity()
        attributes = self._two_attributes()
        written = {name: self.state[ENTITY, name] | attributes}
        return Change("PATCH", self._path(name), attributes, 204, self._write(written))

    def _append(self) -> Change:
        name = self._pick_entity()
        attributes = {**self._two_attributes(), "extra": self._version}
        written = {name: self.state[ENTITY, name] | attributes}
        return Change("POST", self._path(name), attributes, 204, self._write(written))

    def _replace(self) -> Change:
        name = self._pick_entity()
        attributes = self._attributes()
        return Change("PUT", self._path(name), attributes, 204, self._write({name: attributes}))

    def _remove_attribute(self) -> Change:
        name = self._pick(
            name
            for kind, name in self.state
            if kind == ENTITY and "extra" in self.state[kind, name]
        )
        left = {key: value for key, value in self.state[ENTITY, name].items() if key != "extra"}
        path = f"/v2/entities/{name}/attrs/extra"
        return Change("DELETE", path, None, 204, {(ENTITY, name): left})

    def _delete(self) -> Change:
        name = self._pick_entity()
        return Change("DELETE", f"/v2/entities/{name}", None, 204, {(ENTITY, name): None})

    def _write_batch(self) -> Change:
        names = self._random.sample(self._names(), self._random.randint(2, _ENTITIES))
        attributes = {name: self._attributes() for name in names}
        entities = [{"id": name, "type": _ENTITY_TYPE, **attributes[name]} for name in names]
        written = {name: self.state.get((ENTITY, name), {}) | attributes[name] for name in names}
        return self._batch("append", entities, self._write(written))

    def _delete_batch(self) -> Change:
        existing = [name for kind, name in self.state if kind == ENTITY]
        names = self._random.sample(existing, self._random.randint(1, len(existing)))
        entities = [{"id": name, "type": _ENTITY_TYPE} for name in names]
        return self._batch("delete", entities, {(ENTITY, name): None for name in names})

    def _batch(
        self, action: str, entities: list[Document], effect: Mapping[Key, Document | None]
    ) -> Change:
        body = {"actionType": action, "entities": entities}
        return Change("POST", "/v2/op/update?options=keyValues", body, 204, effect)

    def _write(self, written: Mapping[str, Document]) -> dict[Key, Document | None]:
        """Entities with other values: a subscription for one notification ends with it."""
        effect: dict[Key, Document | None] = {
            (ENTITY, name): attributes for name, attributes in written.items()
        }
        for key, document in self.state.items():
            if document.get("status") == "oneshot" and document["entity"] in written:
                effect[key] = {**document, "status": "inactive"}
        return effect

    def _attributes(self) -> Document:
        return {
            **self._two_attributes(),
            "text": "x" * self._random.randrange(_TEXT_LENGTH_MAX),
        }

    def _two_attributes(self) -> Document:
        return {"version": self._version, "copy": self._version}

    def _path(self, name: str) -> str:
        return f"/v2/entities/{name}/attrs?options=keyValues"

    def _names(self) -> list[str]:
        return [f"{self.name}-{number}" for number in range(_ENTITIES)]

    def _pick_entity(self) -> str:
        return self._pick(name for kind, name in self.state if kind == ENTITY)

    # Subscriptions

    def _subscribe(self) -> Change:
        numbers = range(_SUBSCRIPTIONS)
        name = self._pick(
            name
            for name in (f"{self.name}-s{number}" for number in numbers)
            if (SUBSCRIPTION, name) not in self.state
        )
        entity = self._pick(self._names())
        # Never sends, or once.
        status = self._random.choice(["inactive", "oneshot"])
        body = {
            "description": name,
            "status": status,
            "subject": {"entities": [{"id": entity}], "condition": {"attrs": ["version"]}},
            "notification": {"http": {"url": self._url}},
        }
        document = {"status": status, "entity": entity, "throttling": 0}
        return Change("POST", "/v2/subscriptions", body, 201, {(SUBSCRIPTION, name): document})

    def _change_subscription(self) -> Change:
        name = self._pick_subscription()
        document = {**self.state[SUBSCRIPTION, name], "throttling": self._version}
        body = {"throttling": self._version}
        path = f"/v2/subscriptions/{self._subscription_ids[name]}"
        return Change("PATCH", path, body, 204, {(SUBSCRIPTION, name): document})

    def _unsubscribe(self) -> Change:
        name = self._pick_subscription()
        path = f"/v2/subscriptions/{self._subscription_ids[name]}"
        return Change("DELETE", path, None, 204, {(SUBSCRIPTION, name): None})

    def _pick_subscription(self) -> str:
        return self._pick(name for kind, name in self.state if kind == SUBSCRIPTION)

    def _pick(self, names: Iterable[str]) -> str:
        return self._random.choice(sorted(names))


def send(connection: http.client.HTTPConnection, change: Change) -> str:
    """Send a change and read its answer; returns the header Location."""
    body = None if change.body is None else json.dumps(change.body)
    headers = {} if body is None else {"Content-Type": "application/json"}
    connection.request(change.method, change.path, body, headers)
    response = connection.getresponse()
    text = response.read()
    assert response.status == change.status, f"{change}: {response.status} {text!r}"
    return response.headers.get("Location", "")


def read_world(url: str) -> tuple[World, dict[str, str]]:
    """What a broker has, and the ids of its subscriptions by description."""
    world: World = {}
    for entity in get(f"{url}/v2/entities?options=keyValues&type={_ENTITY_TYPE}&limit={_PAGE}"):
        name = entity.pop("id")
        del entity["type"]
        world[ENTITY, name] = entity
    ids: dict[str, str] = {}
    for subscription in get(f"{url}/v2/subscriptions?limit={_PAGE}"):
        name = subscription["description"]
        assert name not in ids, f"two subscriptions {name}"
        ids[name] = subscription["id"]
        world[SUBSCRIPTION, name] = {
            "status": subscription["status"],
            "entity": subscription["subject"]["entities"][0]["id"],
            "throttling": subscription.get("throttling", 0),
        }
    return world, ids


def get(url: str) -> Any:
    """The JSON document behind a URL."""
    with urllib.request.urlopen(url, timeout=ANSWER_TIMEOUT_S) as response:
        return json.load(response)


def _explain(name: str, state: World, pending: Change | None, found: World) -> str:
    wrong = sorted(key for key in state.keys() | found.keys() if state.get(key) != found.get(key))
    lines = [f"{name}: neither what was acknowledged nor that and the pending change", f"{pending}"]
    lines += [f"{key}: acknowledged {state.get(key)}, found {found.get(key)}" for key in wrong]
    return "\n".join(lines)


class Crowd:
    """Several workers at once, each in a thread of its own, against one broker."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._workers = workers
        self._answers = 0
        self._failed = False
        self._progress = threading.Condition()
        self._stop = threading.Event()

    @contextmanager
    def work(self, port: int) -> Iterator[None]:
        """Let them work; at the end waits for them and raises what one of them raised."""
        self._answers = 0
        self._stop.clear()
        with ThreadPoolExecutor(len(self._workers)) as pool:
            runs = [pool.submit(self._run, worker, port) for worker in self._workers]
            try:
                yield
            finally:
                self._stop.set()
        for run in runs:
            run.result()

    def wait(self, answers: int) -> None:
        """Wait until so many changes were acknowledged since work began."""
        with self._progress:
            enough = self._progress.wait_for(
                lambda: self._failed or self._answers >= answers, ANSWER_TIMEOUT_S
            )
        assert enough, f"{self._answers} of {answers} changes were acknowledged"

    def stop(self) -> None:
        """No further requests."""
        self._stop.set()

    def _run(self, worker: Worker, port: int) -> None:
        try:
            worker.run(port, self._stop, self._count)
        except BaseException:
            with self._progress:
                self._failed = True
                self._progress.notify_all()
            raise

    def _count(self) -> None:
        with self._progress:
            self._answers += 1
            self._progress.notify_all()
