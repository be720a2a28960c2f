"""What a callable of any kind takes: functions, methods, partials, classes, objects with ``__call__``."""

from __future__ import annotations

import functools
import inspect
import sys
import typing
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final

from attrs import frozen

from lm_deluge.values.foreign import shown, type_name

__all__ = ["NO_DEFAULT", "Parameter", "Signature", "signature_of"]

NO_DEFAULT: Final = inspect.Parameter.empty
"""The default of a parameter that has to be given."""

_MORE: Final = inspect.Parameter.VAR_KEYWORD


@frozen
class Parameter:
    """One parameter that a model may give: ``hint`` is ``Any`` where there is none.

    ``default``: ``NO_DEFAULT`` where it has to be given. ``by_position``: it cannot be given by name.
    """

    name: str
    hint: Any
    default: Any = NO_DEFAULT
    by_position: bool = False

    @property
    def is_required(self) -> bool:
        """Whether a call without it fails."""
        return self.default is NO_DEFAULT


@frozen
class Signature:
    """``more``: the hint of what else may be given by name (``**options``); ``None``: nothing may."""

    parameters: tuple[Parameter, ...]
    more: Any = None


def signature_of(function: Callable[..., Any], where: str) -> Signature:
    """Return what a callable takes. ``where``: what the messages call it.

    Raises ``TypeError`` for what no model can call: ``*args``, a method without its object, hints that
    cannot be read.
    """
    try:
        found = inspect.signature(function)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{where}: what it takes cannot be read ({error}): give Tool(function, parameters=...)"
        ) from error
    bound = _bound_names(function)
    asked = [each for each in found.parameters.values() if each.name not in bound]
    for each in asked:
        if each.kind is inspect.Parameter.VAR_POSITIONAL:
            raise TypeError(
                f"{where} takes *{each.name}, and a model gives arguments by name: "
                "take a list, or decorate with functools.wraps"
            )
    hints = _hints_of(function, where)
    if asked and asked[0].name in ("self", "cls") and asked[0].name not in hints:
        raise TypeError(f"{where} is a method without its object: give it as object.method")
    parameters: list[Parameter] = []
    more = None
    for each in asked:
        hint = hints.get(each.name, Any)
        if each.kind is _MORE:
            named = _unpacked(hint)
            parameters += named
            more = None if named else hint
            continue
        if each.default is None and hint is not Any:
            hint = hint | None if not isinstance(hint, str) else hint
        by_position = each.kind is inspect.Parameter.POSITIONAL_ONLY
        parameters.append(Parameter(each.name, hint, each.default, by_position))
    return Signature(tuple(parameters), more)


def target_of(function: Callable[..., Any]) -> Any:
    """Return what a partial, a method, a decorated function or an object calls in the end."""
    found: Any = function
    while True:
        if isinstance(found, (functools.partial, functools.partialmethod)):
            found = found.func
        elif inspect.ismethod(found):
            found = found.__func__
        elif "__wrapped__" in getattr(found, "__dict__", ()) and not inspect.isclass(found):
            found = found.__wrapped__
        elif inspect.isroutine(found) or inspect.isclass(found):
            return found
        else:
            found = type(found).__call__


def _bound_names(function: Callable[..., Any]) -> set[str]:
    """Return the names that partials fill in: a model neither sees nor changes them."""
    names: set[str] = set()
    found: Any = function
    while isinstance(found, functools.partial):
        names |= set(found.keywords)
        found = found.func
    return names


def _hints_of(function: Callable[..., Any], where: str) -> dict[str, Any]:
    target = target_of(function)
    if inspect.isclass(target) and "__init__" in vars(target):
        made: Any = vars(target)["__init__"]
        target = made if getattr(made, "__annotations__", None) else target
    local: dict[str, Any] = {}
    while True:
        try:
            return typing.get_type_hints(target, localns=local or None, include_extras=True)
        except NameError as error:
            name = error.name
            value = _seen_by_callers(name)
            if name is None or name in local or value is NO_DEFAULT:
                raise TypeError(f"{where}: its hints cannot be read: {error}") from error
            local[name] = value
        except Exception as error:
            raise TypeError(f"{where}: its hints cannot be read: {error}") from error


def _seen_by_callers(name: str | None) -> Any:
    """Return what a name means where the tool is given: a class in a function is not in its globals."""
    frame = sys._getframe(1)  # noqa: SLF001 - the one way to see local names
    while frame is not None and name is not None:
        if name in frame.f_locals:
            return frame.f_locals[name]
        frame = frame.f_back  # type: ignore[assignment]
    return NO_DEFAULT


def _unpacked(hint: Any) -> list[Parameter]:
    """Return the parameters that ``**options: Unpack[SomeTypedDict]`` stands for."""
    if typing.get_origin(hint) is not typing.Unpack:
        return []
    (keys,) = typing.get_args(hint)
    required: frozenset[str] = keys.__required_keys__
    return [
        Parameter(name, _plain(kind), NO_DEFAULT if name in required else None)
        for name, kind in typing.get_type_hints(keys, include_extras=True).items()
    ]


def _plain(hint: Any) -> Any:
    """Return a hint without the marks that only a ``TypedDict`` has."""
    while typing.get_origin(hint) in (typing.Required, typing.NotRequired):
        (hint,) = typing.get_args(hint)
    return hint


def split_annotated(hint: Any) -> tuple[Any, str]:
    """Return a hint without the texts in ``Annotated``, and the first text that describes it."""
    if typing.get_origin(hint) is not Annotated:
        return hint, ""
    kind, *notes = typing.get_args(hint)
    said = [_text_in(note) for note in notes]
    kept = [note for note in notes if not isinstance(note, str)]
    if kept:
        kind = Annotated.__class_getitem__((kind, *kept))
    return kind, next((text for text in said if text), "")


def _text_in(note: Any) -> str:
    """Return what a note in ``Annotated`` says: a text, a ``Doc``, a pydantic ``Field``."""
    if isinstance(note, str):
        return note
    for name in ("description", "documentation"):
        text = getattr(note, name, None)
        if isinstance(text, str):
            return text
    return ""


def filled(
    parameters: tuple[Parameter, ...], given: Mapping[str, Any]
) -> tuple[list[Any], dict[str, Any]]:
    """Return positional and named arguments for what was given."""
    named = dict(given)
    places = [each for each in parameters if each.by_position]
    last = max((at for at, each in enumerate(places) if each.name in named), default=-1)
    return [named.pop(each.name, each.default) for each in places[: last + 1]], named


def name_of(function: Callable[..., Any]) -> str:
    """Return what a callable is called; the name of its type where it has none."""
    found: Any = function
    while isinstance(found, functools.partial):
        found = found.func
    name = getattr(found, "__name__", None)
    return name if isinstance(name, str) else type_name(found)


def doc_of(function: Callable[..., Any]) -> str:
    """Return a callable's docstring, of a partial that of what it calls; ``""`` for none."""
    found: Any = function
    while isinstance(found, functools.partial):
        found = found.func
    if not (inspect.isroutine(found) or inspect.isclass(found)):
        found = type(found).__call__ if type(found).__call__.__doc__ else type(found)
    text = inspect.getdoc(found)
    return text if isinstance(text, str) else ""


def is_generator(function: Callable[..., Any]) -> bool:
    """Whether calling it runs nothing and returns a generator."""
    target = target_of(function)
    return inspect.isgeneratorfunction(target) or inspect.isasyncgenfunction(target)


def is_async(function: Callable[..., Any]) -> bool:
    """Whether calling it returns a coroutine at once, so that the event loop may do it."""
    found: Any = function
    while isinstance(found, functools.partial):
        found = found.func
    if not (inspect.isroutine(found) or inspect.isclass(found)):
        found = type(found).__call__
    return inspect.iscoroutinefunction(found)


def shown_function(function: object) -> str:
    """Return how messages call it."""
    name = getattr(function, "__qualname__", None)
    return name if isinstance(name, str) else shown(function, 60)
