"""Dataclasses to plain dictionaries and strictly back: what configuration files go through.

A configuration with a mistake must stop a run before it starts, so an unknown key or a value of
the wrong type is an error that names the key by its path, such as ``data[0].weight``.
"""

from __future__ import annotations

import dataclasses
import types
import typing
from pathlib import Path
from typing import Any, Literal, TypeVar, Union

T = TypeVar("T")


def to_plain(value: Any) -> Any:
    """Dataclasses, tuples and paths as dictionaries, lists and strings.

    A dataclass with a class attribute ``kind`` (the tag of a union's member) writes it first.
    """
    if dataclasses.is_dataclass(value):
        fields = {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
        tag = _tag(type(value))
        return {"kind": tag, **fields} if tag and "kind" not in fields else fields
    if isinstance(value, dict):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def from_plain(cls: type[T], value: Any, where: str = "") -> T:
    """Build a value of type ``cls`` from plain data.

    Understands dataclasses, unions of dataclasses told apart by ``kind``, optional values, lists,
    tuples, dictionaries, ``Literal``, paths, strings, numbers and booleans. An integer, and text
    such as ``1e-3`` (which YAML reads as text), is accepted where a float is expected.

    Args:
        cls: the type to build.
        value: what a YAML or JSON reader returned.
        where: path of the value, for messages.

    Raises:
        ValueError: naming the key, for an unknown key, a missing one or a value of another type.
    """
    if dataclasses.is_dataclass(cls):
        return _dataclass(cls, value, where)
    origin, arguments = typing.get_origin(cls), typing.get_args(cls)
    if origin is typing.Annotated:
        return from_plain(arguments[0], value, where)
    if origin in (Union, types.UnionType):
        return _union(arguments, value, where)
    if origin is Literal:
        if value not in arguments:
            _fail(where, f"one of {', '.join(map(repr, arguments))}", value)
        return value
    if origin in (list, tuple):
        return _sequence(origin, arguments, value, where)
    if origin is dict:
        if not isinstance(value, dict):
            _fail(where, "a mapping", value)
        return {k: from_plain(arguments[1], v, f"{where}.{k}") for k, v in value.items()}
    return _scalar(cls, value, where)


def differences(a: Any, b: Any, where: str = "") -> list[str]:
    """Where two plain values differ, as lines ``path: a != b``."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [*a, *(key for key in b if key not in a)]
        return [
            line
            for key in keys
            for line in differences(a.get(key), b.get(key), f"{where}.{key}".lstrip("."))
        ]
    if isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        pairs = enumerate(zip(a, b, strict=True))
        return [line for i, (x, y) in pairs for line in differences(x, y, f"{where}[{i}]")]
    return [] if a == b else [f"{where}: {a!r} != {b!r}"]


def _dataclass(cls: type, value: Any, where: str) -> Any:
    if not isinstance(value, dict):
        _fail(where, f"a mapping with the fields of {cls.__name__}", value)
    hints = typing.get_type_hints(cls, include_extras=True)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}
    value = dict(value)
    if "kind" not in fields and _tag(cls) is not None:
        value.pop("kind", None)
    prefix = f"{where}." if where else ""
    for key in value:
        if key not in fields:
            known = ", ".join(fields)
            raise ValueError(f"configuration: unknown key {prefix}{key}; known here: {known}")
    for name, field in fields.items():
        required = (
            field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
        )
        if required and name not in value:
            raise ValueError(f"configuration: {prefix}{name} is missing")
    built = {k: from_plain(hints[k], item, prefix + k) for k, item in value.items()}
    try:
        return cls(**built)
    except ValueError as error:
        # The checks in __post_init__ name their field, not where the dataclass sits.
        raise ValueError(f"{prefix.rstrip('.')}: {error}" if where else str(error)) from error


def _union(arguments: tuple, value: Any, where: str) -> Any:
    if value is None and type(None) in arguments:
        return None
    members = [a for a in arguments if a is not type(None)]
    if len(members) == 1:
        return from_plain(members[0], value, where)
    tagged = {tag: m for m in members if (tag := _tag(_bare(m))) is not None}
    if tagged and isinstance(value, dict):
        if value.get("kind") not in tagged:
            _fail(f"{where}.kind", f"one of {', '.join(sorted(tagged))}", value.get("kind"))
        return from_plain(tagged[value["kind"]], value, where)
    errors = []
    for member in members:
        try:
            return from_plain(member, value, where)
        except ValueError as error:
            errors.append(str(error))
    raise ValueError("; or ".join(errors))


def _sequence(origin: type, arguments: tuple, value: Any, where: str) -> Any:
    if not isinstance(value, list | tuple):
        _fail(where, "a list", value)
    if origin is tuple and not (len(arguments) == 2 and arguments[1] is Ellipsis):
        if len(arguments) != len(value):
            _fail(where, f"{len(arguments)} values", value)
        kinds = arguments
    else:
        kinds = [arguments[0]] * len(value)
    return origin(
        from_plain(kind, item, f"{where}[{i}]")
        for i, (kind, item) in enumerate(zip(kinds, value, strict=True))
    )


def _scalar(cls: type, value: Any, where: str) -> Any:
    if cls is Any:
        return value
    if cls is type(None):
        return None if value is None else _fail(where, "null", value)
    if cls is float:
        try:
            if not isinstance(value, bool):
                return float(value)
        except (TypeError, ValueError):
            pass
        _fail(where, "a number", value)
    if cls is Path and isinstance(value, str):
        return Path(value)
    if isinstance(value, cls) and not (cls is int and isinstance(value, bool)):
        return value
    names = {int: "an integer", str: "text", bool: "true or false", Path: "a path"}
    return _fail(where, names.get(cls, getattr(cls, "__name__", str(cls))), value)


def _bare(cls: Any) -> Any:
    return typing.get_args(cls)[0] if typing.get_origin(cls) is typing.Annotated else cls


def _tag(cls: Any) -> str | None:
    """The value of ``kind`` that selects a dataclass in a union: its default."""
    tag = getattr(cls, "kind", None)
    return tag if isinstance(tag, str) else None


def _fail(where: str, expected: str, value: Any) -> typing.NoReturn:
    raise ValueError(f"configuration: {where} must be {expected}, got {value!r}")
