"""An example for any JSON schema, so that no operation is documented without one."""

from typing import Any

_BY_FORMAT = {
    "uuid": "01981c5e-7a3b-7c11-9d55-2f6b8a4e1c07",
    "date-time": "2026-03-01T09:30:00Z",
    "date": "2026-03-01",
    "decimal": "12500.00",
}
_BY_TYPE: dict[str, Any] = {"string": "text", "integer": 1, "number": 1.5, "boolean": True, "null": None}


def sample(schema: dict[str, Any], components: dict[str, Any], kind: Any = None) -> Any:
    """A value of the schema: the type's own EXAMPLE, the schema's first example or default, else made by its type."""
    own = getattr(kind, "EXAMPLE", None)
    return own if own is not None else _made(schema, components, 0)


def _made(schema: dict[str, Any], components: dict[str, Any], depth: int) -> Any:
    if "$ref" in schema:
        return _made(components[schema["$ref"].rpartition("/")[2]], components, depth + 1)
    for key in ("examples", "enum"):
        if schema.get(key):
            return schema[key][0]
    if "const" in schema:
        return schema["const"]
    if arms := schema.get("anyOf") or schema.get("oneOf"):
        return _made(arms[0], components, depth)
    match schema.get("type"):
        case "object":
            return _object(schema, components, depth)
        case "array":
            return [] if depth > 4 else [_made(schema.get("items", {}), components, depth + 1)]
        case kind:
            return _BY_FORMAT.get(schema.get("format", ""), _BY_TYPE.get(str(kind)))


def _object(schema: dict[str, Any], components: dict[str, Any], depth: int) -> dict[str, Any]:
    members: dict[str, Any] = schema.get("properties", {})
    shown = schema.get("required", []) if depth > 4 else members
    return {name: _made(members[name], components, depth + 1) for name in shown}
