"""The type of what JSON can say, for annotations. It stands below everything else."""

from __future__ import annotations

from typing import Any, TypeAlias

JsonValue: TypeAlias = Any  # str | int | float | bool | None | list | dict, recursively
