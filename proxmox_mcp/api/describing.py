"""What a method of PVE's API takes and needs, as a reader wants it: types, bounds, choices and privileges."""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from proxmox_mcp.errors import InvalidArgument


def find_method(verb: str | None, path: str) -> Any:
    """The method of the contract that a verb and a path mean, the path as a template or with values.

    Without a verb it is what the path takes: GET, or the only other one.

    Raises:
        InvalidArgument: PVE has no such path, or not with this verb, or with several; what is near is named.
    """
    from pvesim.contract import Contract

    contract = Contract.load()
    parts = [part for part in path.strip("/").split("/") if part]
    methods = {
        other: found[0]
        for other in ("GET", "POST", "PUT", "DELETE")
        if (found := contract.find(other, parts)) is not None
    }
    meant = verb or ("GET" if "GET" in methods or len(methods) != 1 else next(iter(methods)))
    if meant in methods:
        return methods[meant]
    if methods:
        raise InvalidArgument(f"PVE has no {meant} {path}.", f"That path takes: {', '.join(methods)}.")
    near = difflib.get_close_matches("/" + "/".join(parts), contract.paths, n=3)
    hint = f"Near it: {', '.join(near)}." if near else "Find it with search_api."
    raise InvalidArgument(f"PVE's API has no path {path}.", hint)


def privileges_text(method: Any) -> str:
    """Who may call a method: `VM.Migrate on /vms/{vmid}`, by its published permission expression."""
    permissions: Mapping[str, Any] | None = method.permissions
    if permissions is None:
        return "root@pam only"
    if (user := permissions.get("user")) and "check" not in permissions:
        return {"all": "any user (more is checked by what is asked)", "world": "anyone"}.get(str(user), str(user))
    return _rule(permissions.get("check", ()))


def _rule(rule: Sequence[Any]) -> str:
    kind, *rest = rule or ("",)
    if kind in {"and", "or"}:
        inner = [_rule(part) for part in rest]
        return f" {kind} ".join(f"({text})" if " and " in text or " or " in text else text for text in inner)
    if kind == "perm":
        path, privileges, *options = rest
        word = " or " if "any" in options else ", "
        return f"{word.join(privileges)} on {path}"
    if kind == "perm-modify":
        return f"Permissions.Modify on {rest[0]}, or rights to pass on there"
    if kind == "userid-param":
        return "one's own user" if rest[0] == "self" else "Realm.AllocateUser on the user's realm"
    if kind == "userid-group":
        return f"{', '.join(rest[0])} on a group of the user"
    return " ".join(str(part) for part in rule)


def parameters_of(method: Any) -> Iterator[dict[str, Any]]:
    """The parameters of a method, required ones first: name, type, whether it is required, and what it may be."""
    entries = sorted(method.parameters.entries(), key=lambda entry: (entry[1].optional, entry[0]))
    for name, schema in entries:
        if schema.alias is None:
            yield {
                "name": name,
                "type": schema.format or schema.type,
                "required": None if schema.optional else True,
                "default": schema.default,
                "allowed": _bounds(schema),
            }


def _bounds(schema: Any) -> str | None:
    if schema.enum:
        return ", ".join(schema.enum)
    parts = []
    if schema.minimum is not None or schema.maximum is not None:
        low = "" if schema.minimum is None else f"{schema.minimum:g}"
        high = "" if schema.maximum is None else f"{schema.maximum:g}"
        parts.append(f"{low}..{high}")
    if schema.max_length is not None:
        parts.append(f"at most {schema.max_length} characters")
    if schema.fields is not None and schema.format is None:
        names = [name for name, _ in schema.fields.entries()]
        parts.append("name=value,… of: " + ", ".join(names))
    return "; ".join(parts) or None
