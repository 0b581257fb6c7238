"""How pydantic takes the values that are not plain dataclasses, without patchcore depending on it."""

from __future__ import annotations

from typing import Any


def schema(cls: Any) -> Any:
    """A value is taken as it is, or read from its plain form; it is written and published in its plain form."""
    from pydantic_core import core_schema

    def validate(value: Any) -> Any:
        return value if isinstance(value, cls) else cls.from_dict(value)

    def published(*_: Any) -> Any:
        own = getattr(cls, "json_schema", None)
        return {"type": "object"} if own is None else inlined(own())

    return core_schema.no_info_plain_validator_function(
        validate,
        serialization=core_schema.plain_serializer_function_ser_schema(lambda value: value.to_dict()),
        metadata={"pydantic_js_functions": [published]},
    )


def inlined(published: dict[str, Any]) -> Any:
    """A schema without references: pydantic knows only those of its own."""
    definitions = published.get("$defs", {})

    def without(node: Any, inside: tuple[str, ...]) -> Any:
        if isinstance(node, list):
            return [without(part, inside) for part in node]
        if not isinstance(node, dict):
            return node
        name = str(node.get("$ref", "")).removeprefix("#/$defs/")
        if name in inside:
            return {}  # It stands in itself: anything, so that the rest is still said.
        found = without(definitions[name], (*inside, name)) if name in definitions else {}
        rest = {key: without(part, inside) for key, part in node.items() if key not in ("$defs", "$ref")}
        return {**found, **rest}

    return without(published, ())
