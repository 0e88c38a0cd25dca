"""The compiled core: what has to be near the machine, behind a narrow typed door.

Imports nothing of the rooms above it. Each name's signature and cost stand in `__init__.pyi`.
"""

from _native.frames import FrameEncoder, preallocate

__all__ = ["FrameEncoder", "preallocate"]
