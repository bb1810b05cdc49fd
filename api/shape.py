"""The types of bodies, walked: what is wrong with a value, which fields are verbatim, which structs nest."""

from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from math import inf
from types import NoneType, UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec
from msgspec import Meta, Struct, UnsetType

from api.faults import fault_of, step
from api.fields import AtMostBytes, Verbatim
from domain.shared import FieldError


def faults(kind: Any, value: Any, at: str = "") -> Iterator[FieldError]:
    """Every wrong field of a value that msgspec refused as a `kind`; the slow path, piece by piece."""
    bare, meta = bare_type(kind)
    ruled_out = (UnsetType,) if value is None else (UnsetType, NoneType)
    arms = [one for one in union_arms(bare) if one not in ruled_out]
    if len(arms) == 1 and arms[0] is not bare:
        yield from faults(arms[0], value, at)
        return
    if len(arms) > 1:
        bare = next((one for one in arms if _is_tagged(one, value)), bare)
    clean = True
    for one in _within(bare, value, at):
        clean = False
        yield one
    if clean and (message := _refused(kind, value)) is not None:
        yield fault_of(at, message, meta.description if meta else None)
    elif clean and isinstance(value, str) and len(value.encode()) > (most := _most_bytes(kind)):
        yield FieldError(pointer=at, code="too_long", detail=f"This must have at most {most} bytes in UTF-8.")


def _within(bare: Any, value: Any, at: str) -> Iterator[FieldError]:
    origin, arguments = get_origin(bare), get_args(bare)
    if is_struct(bare) and isinstance(value, dict):
        yield from _fields(bare, cast(dict[str, Any], value), at)
    elif origin is dict and isinstance(value, dict):
        for key, one in cast(dict[str, Any], value).items():
            yield from faults(arguments[1], one, step(at, key))
    elif isinstance(value, list) and (origin in (list, set, frozenset) or arguments[1:] == (Ellipsis,)):
        for index, one in enumerate(value):
            yield from faults(arguments[0], one, step(at, index))


def _fields(bare: type[Struct], value: dict[str, Any], at: str) -> Iterator[FieldError]:
    known = {one.encode_name: one for one in msgspec.structs.fields(bare)}
    config = bare.__struct_config__
    for key in value:
        if config.forbid_unknown_fields and key not in known and key != config.tag_field:
            yield FieldError(pointer=step(at, key), code="unknown_field", detail=unknown("field", key, known))
    for name, one in known.items():
        if name in value:
            yield from faults(one.type, value[name], step(at, name))
        elif one.required:
            yield FieldError(pointer=step(at, name), code="missing", detail="This field is required.")


def unknown(what: str, given: str, known: Iterable[str]) -> str:
    """A sentence that names the nearest known one, if any is near."""
    near = get_close_matches(given[:100], known, n=1)
    return f"There is no such {what} here." + (f" Did you mean `{near[0]}`?" if near else "")


def _refused(kind: Any, value: Any) -> str | None:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        return str(error).split(" - at `$")[0]
    return None


def _is_tagged(arm: Any, value: Any) -> bool:
    bare, _ = bare_type(arm)
    if not is_struct(bare) or not isinstance(value, dict):
        return False
    config = bare.__struct_config__
    return config.tag_field is not None and cast(dict[str, Any], value).get(config.tag_field) == config.tag


def bare_type(kind: Any) -> tuple[Any, Meta | None]:
    """The type without Annotated, and its msgspec Meta."""
    if get_origin(kind) is not Annotated:
        return kind, None
    meta = next((one for one in kind.__metadata__ if isinstance(one, Meta)), None)
    return bare_type(kind.__origin__)[0], meta


def union_arms(bare: Any) -> tuple[Any, ...]:
    return get_args(bare) if get_origin(bare) in (Union, UnionType) else (bare,)


def is_struct(bare: Any) -> bool:
    return isinstance(bare, type) and issubclass(bare, Struct)


def types_within(kind: Any, seen: set[Any] | None = None) -> Iterator[tuple[str, Any]]:
    """Every (field name, declared type) below a type, itself first under the empty name; each struct once."""
    seen = set() if seen is None else seen
    yield "", kind
    bare, _ = bare_type(kind)
    if is_struct(bare) and bare not in seen:
        seen.add(bare)
        for one in msgspec.structs.fields(bare):
            yield from ((name or one.encode_name, inner) for name, inner in types_within(one.type, seen))
    elif not is_struct(bare):
        for inner in get_args(bare):
            if inner is not Ellipsis:
                yield from types_within(inner, seen)


def structs_within(kind: Any) -> list[type[Struct]]:
    """Every struct a body of this type can hold, itself included."""
    return [bare for _, one in types_within(kind) if is_struct(bare := bare_type(one)[0])]


def _most_bytes(kind: Any) -> float:
    marks = kind.__metadata__ if get_origin(kind) is Annotated else ()
    return next((mark.size for mark in marks if isinstance(mark, AtMostBytes)), inf)


def counts_bytes(kind: Any) -> bool:
    """Whether msgspec alone does not judge all limits of it."""
    return any(_most_bytes(one) < inf for _, one in types_within(kind))


def verbatim_fields(kind: Any) -> frozenset[str]:
    """The names of fields that are taken as typed."""
    return frozenset(
        name
        for name, one in types_within(kind)
        if get_origin(one) is Annotated and any(isinstance(mark, Verbatim) for mark in one.__metadata__)
    )
