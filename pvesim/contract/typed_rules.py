"""What methods take beyond what the published schema says: parameters by type, and ones that came later.

The published schema flattens methods with types: it shows a field that one type needs as an optional one. What each
type needs stands here. PVE reports the errors of such a request under the type that it was read as.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class TypedParameters:
    """`selector` names the field with the type; `required` has the fields that each type needs."""

    selector: str
    required: Mapping[str, tuple[str, ...]]

    def refine(self, values: Mapping[str, object], errors: Mapping[str, str], missing: str) -> dict[str, str]:
        """The errors as the chosen type reports them; as they are when no known type was given."""
        kind = values.get(self.selector)
        needed = self.required.get(kind) if isinstance(kind, str) else None
        if kind is None or needed is None:
            return dict(errors)
        found = {**{name: missing for name in needed if name not in values and name not in errors}, **errors}
        return {f"oneOf[{kind}].{name}": text for name, text in found.items()}


# Source: recorded exchange (`POST /cluster/ha/rules` with a type and nothing that it needs).
TYPED_PARAMETERS: Mapping[tuple[str, str], TypedParameters] = {
    ("POST", "/cluster/ha/rules"): TypedParameters(
        "type", {"node-affinity": ("nodes",), "resource-affinity": ("affinity",)}
    ),
}

# Parameters that genuine nodes take and the published schema of their release does not have yet, as it would have them.
LATER_PARAMETERS: Mapping[tuple[str, str], Mapping[str, Mapping[str, Any]]] = {
    ("PUT", "/access/users/{userid}/token/{tokenid}"): {"regenerate": {"type": "boolean", "optional": 1}},
}
