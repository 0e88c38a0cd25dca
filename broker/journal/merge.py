"""JSON Merge Patch (RFC 7386) on parsed JSON.

Cost: the size of the patch. Iterative, so the depth of a document is no limit of its own.
"""

from __future__ import annotations

from typing import Any


def merge_patch(target: Any, patch: Any) -> Any:
    """The target with the patch applied (RFC 7386, section 2); the target may be changed.

    A member that is null in the patch is removed, an object is merged into the member, any
    other value replaces it. A patch that is no object is the result itself. The result may
    share parts with the target and the patch.
    """
    if not isinstance(patch, dict):
        return patch
    result: dict[str, Any] = target if isinstance(target, dict) else {}
    waiting: list[tuple[dict[str, Any], dict[str, Any]]] = [(result, patch)]
    while waiting:
        members, changes = waiting.pop()
        for name, change in changes.items():
            if change is None:
                members.pop(name, None)
            elif isinstance(change, dict):
                member = members.get(name)
                if not isinstance(member, dict):
                    # An object that is new here still loses its nulls: merged into an empty one.
                    member = members[name] = {}
                waiting.append((member, change))
            else:
                members[name] = change
    return result
