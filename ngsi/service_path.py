"""Service paths: where an entity lives, and which places a request looks at.

Source: Orion API, section "Service path". An entity has one path; the header of a query may
list up to ten, each of them open downwards with a trailing "/#".
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from ngsi.errors import BadRequest
from ngsi.model import ROOT_SERVICE_PATH

MAX_PATHS: Final = 10
MAX_LEVELS: Final = 10
MAX_LEVEL_LENGTH: Final = 50  # characters
EVERYWHERE: Final = "/#"
_LEVEL: Final = re.compile(r"[0-9A-Za-z_]+")


@dataclass(slots=True, frozen=True)
class ServicePathScope:
    """The places that a request looks at; `paths` empty means everywhere (no header)."""

    paths: tuple[str, ...] = ()

    @property
    def is_everywhere(self) -> bool:
        """Whether no path is excluded."""
        return not self.paths or EVERYWHERE in self.paths

    @property
    def home(self) -> str:
        """The path of an entity that the request creates."""
        return self.paths[0] if self.paths else ROOT_SERVICE_PATH

    def for_update(self) -> ServicePathScope:
        """What an update may reach: the one path given, the root without any.

        Raises BadRequest for several paths and for one that is open downwards.
        """
        if not self.paths:
            return ROOT_SCOPE
        if len(self.paths) > 1:
            raise BadRequest("more than one service path in context update request")
        if self.paths[0].endswith("/#"):
            raise BadRequest("Bad Character in Service-Path")
        return self

    def covers(self, service_path: str) -> bool:
        """Whether an entity of that path is looked at."""
        paths = self.paths
        if not paths or service_path in paths:
            return True
        return any(covers(path, service_path) for path in paths)


ROOT_SCOPE: Final = ServicePathScope((ROOT_SERVICE_PATH,))


def covers(scope: str, service_path: str) -> bool:
    """Whether one path of a scope, maybe ending in "/#", covers an entity's path."""
    if not scope.endswith("/#"):
        return scope == service_path
    stem = scope[:-2]
    return service_path == stem or service_path.startswith(f"{stem}/")


@lru_cache(maxsize=4096)
def parse_scope(header: str, method: str = "GET") -> ServicePathScope:
    """The scope that the header Fiware-ServicePath gives; raises BadRequest.

    Changing single entities (`method` PATCH, DELETE) needs one path without "#".
    """
    if not header:
        return ServicePathScope()
    texts = [text.strip() for text in header.split(",")]
    if len(texts) > MAX_PATHS:
        raise BadRequest("too many service paths - a maximum of ten service paths is allowed")
    paths = [text[:-1] if len(text) > 1 and text.endswith("/") else text for text in texts]
    for path in paths:
        if path:
            _check_path(path, method, several=len(paths) > 1)
    return ServicePathScope(tuple(path for path in paths if path))


def _check_path(path: str, method: str, several: bool) -> None:
    if not path.startswith("/"):
        raise BadRequest("Only /absolute/ Service Paths allowed [a service path must begin with /]")
    if path == ROOT_SERVICE_PATH:
        return
    if path.startswith("//"):
        raise BadRequest("empty component in ServicePath")
    if several and method == "PATCH":
        raise BadRequest("more than one servicepath in patch update request is not allowed")
    if several and method == "DELETE":
        raise BadRequest("more than one servicepath is not allowed in DELETE operation")
    levels = path[1:].split("/")
    if len(levels) > MAX_LEVELS:
        raise BadRequest("too many components in ServicePath")
    for position, level in enumerate(levels):
        if len(level) > MAX_LEVEL_LENGTH:
            raise BadRequest("component-name too long in ServicePath")
        if not level:
            raise BadRequest("empty component in ServicePath")
        if level == "#" and position == len(levels) - 1:
            if method == "PATCH":
                raise BadRequest(
                    "servicepath with wildcard # is not allowed in patch update request"
                )
            if method == "DELETE":
                raise BadRequest("servicepath with wildcard # is not allowed in DELETE operation")
        elif not _LEVEL.fullmatch(level):
            raise BadRequest("a component of ServicePath contains an illegal character")
