"""What a handler is: an object with some of the methods. What is none is told where it is given.

Nothing is asked of a handler that it could answer endlessly: types, functions and their code are
looked at, not what an object says of itself.
"""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial, partialmethod
from inspect import (
    CO_ASYNC_GENERATOR,
    CO_COROUTINE,
    CO_GENERATOR,
    CO_ITERABLE_COROUTINE,
    CO_VARARGS,
    CO_VARKEYWORDS,
)
from types import FunctionType, MemberDescriptorType, MethodType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, TypeVar
from weakref import WeakKeyDictionary

from attrs import define, field

from lm_deluge.observers.method_names import (
    BESIDE,
    METHODS,
    looks_like_one,
    meant_by,
    misspelt,
)
from lm_deluge.signals import SIGNALS
from lm_deluge.values.foreign import (
    log,
    message_of,
    name_of,
    shown,
    type_name,
)

if TYPE_CHECKING:
    pass

__all__ = ["METHODS", "Methods", "does_nothing", "methods_of", "takes_growth"]

#: What each method is called with, by the names of the documentation.
_CALLED_WITH: Final = {
    signal.name: ("stream",) if signal.payload is None else ("stream", signal.payload)
    for signal in SIGNALS
} | {"on_object": ("stream", "value")}


#: The base class of handlers, and its methods, which do nothing: see ``does_nothing``. What is asked of
#: them is identity: a handler's class may refuse to be hashed.
_BASES: Final[list[type]] = []
_INHERITED: Final[dict[str, object]] = {}

C = TypeVar("C", bound=type)


def does_nothing(kind: C) -> C:
    """Mark the base class of handlers: its methods count as absent where they are inherited."""
    _BASES.append(kind)
    _INHERITED.update({name: vars(kind)[name] for name in METHODS})
    return kind


def _is_base(kind: type) -> bool:
    return any(kind is base for base in _BASES)


#: A handler's own name, its methods by name, and the names of those that are ``async``.
#: The third argument of an ``on_object`` that takes it.
_GROWTH: Final = "growth"

Methods: TypeAlias = tuple[str, dict[str, Callable[..., Any]], set[str]]


def methods_of(handler: object) -> Methods:
    """Return a handler's name and methods, without those it inherits from ``StreamHandler``.

    Raises ``TypeError`` for what cannot be a handler: none of the six methods, a misspelt one, one
    that cannot be read or called, that never runs (it yields), or that cannot take what it would be
    called with. A signature that cannot be read passes.
    """
    try:
        known = _known_classes.get(type(handler)) or _read_class(type(handler))
    except Exception:  # noqa: BLE001 - a metaclass may refuse to be hashed
        known = _read_class(type(handler))
    label = known.label
    if known.is_metaclass:
        message = f"a handler must be an object, not the class {name_of(handler)}: call it first"
        raise TypeError(message)
    calls: dict[str, Callable[..., Any]] = {}
    queued: set[str] = set()
    for name in METHODS:
        try:
            method = getattr(handler, name, None)
        except Exception as error:
            raise _unreadable(label, name, error) from error
        if method is None:
            if name in known.holds:
                _check_absence(handler, name, label)
        elif type(method) is not MethodType or method.__func__ is not _INHERITED[name]:
            if _check_method(method, name, label):
                queued.add(name)
            calls[name] = method
    _check_spelling(handler, calls, known)
    if not calls and not _is_base(type(handler)):
        raise TypeError(_no_handler(handler, label))
    return label, calls, queued


def _check_method(method: Any, name: str, label: str) -> bool:
    """Raise ``TypeError`` if a call of it is certain to fail; return whether it is ``async``."""
    bound, function = (1, method.__func__) if type(method) is MethodType else (0, method)
    facts: _MethodFacts | None
    if type(function) is FunctionType:
        facts = _known.get(function)
        if facts is None:
            facts = _known[function] = _read_facts(function)
    else:
        if not callable(method):
            message = f"{label}.{name} must be callable, not {shown(method)}"
            raise TypeError(message)
        facts, bound = _foreign_facts(method), 0
        if facts is None:
            return _says_async(method)
    if facts.yields:
        message = f"{label}.{name} is a generator function, of which a call runs nothing: no yield"
        raise TypeError(message)
    wrong = facts.misfits.get((bound, name))
    if wrong is None:
        count = len(_CALLED_WITH[name]) + (name == "on_object" and facts.takes_growth(bound))
        wrong = facts.misfits[bound, name] = facts.misfit(bound, count)
    if wrong:
        message = f"{label}.{name} is called with ({', '.join(_CALLED_WITH[name])}): {wrong}"
        raise TypeError(message)
    return facts.is_async


def takes_growth(method: Any) -> bool:
    """Whether an ``on_object`` that was found to be one takes a third argument."""
    bound, function = (1, method.__func__) if type(method) is MethodType else (0, method)
    if type(function) is FunctionType:
        facts: _MethodFacts | None = _known.get(function) or _read_facts(function)
    else:
        facts, bound = _foreign_facts(method), 0
    return facts is not None and facts.takes_growth(bound)


def _check_absence(handler: object, name: str, label: str) -> None:
    """Raise ``TypeError`` for a property that fails with AttributeError: it looks like none at all."""
    if type(_static(type(handler), name)) is MemberDescriptorType:
        return
    try:
        getattr(handler, name)
    except Exception as error:
        raise _unreadable(label, name, error) from error


def _unreadable(label: str, name: str, error: Exception) -> TypeError:
    return TypeError(f"{label}.{name} cannot be read: {type_name(error)}: {message_of(error)}")


def _static(kind: type, name: str) -> object:
    """Return what a class and its bases hold under a name."""
    for link in kind.__mro__:
        if name in vars(link):
            return vars(link)[name]
    return None


# What is known of a function.


@define(eq=False)
class _MethodFacts:
    """What a function's code says; nothing here holds the function.

    ``yields``: a call only makes a generator. ``takes``: names of the positional arguments, the first
    ``unnamed`` of which cannot be given by name. ``optional``: how many of the last have a default.
    ``needs``: keyword-only arguments without one. ``any_count``, ``any_name``: ``*args``, ``**kwargs``.
    ``given``, ``named``: arguments that a partial gives beforehand. ``misfits``: what ``misfit`` said, by
    how many arguments are bound and the method's name.
    """

    is_async: bool
    yields: bool
    takes: tuple[str, ...]
    unnamed: int
    optional: int
    keyword_only: frozenset[str]
    needs: frozenset[str]
    any_count: bool
    any_name: bool
    given: int
    named: frozenset[str]
    misfits: dict[tuple[int, str], str] = field(factory=dict, init=False)

    def takes_growth(self, bound: int) -> bool:
        """Whether an ``on_object`` is to be called with a third argument: by its name, or as it needs one."""
        third = self.takes[bound + self.given + 2 :][:1]
        is_needed = len(self.takes) - self.optional > bound + self.given + 2
        return bool(third) and (third[0] == _GROWTH or is_needed)

    def misfit(self, bound: int, count: int) -> str:
        """Say why a call with ``count`` arguments is certain to fail; ``""`` if it is not."""
        count += bound + self.given
        if count > len(self.takes) and not self.any_count:
            first = bound + self.given
            if first > len(self.takes):
                return "it takes no argument, not even self"
            return f"it takes ({', '.join(self.takes[first:])})"
        nameable = {*self.takes[self.unnamed :]}
        if twice := self.named & {*self.takes[self.unnamed : count]}:
            return f"it would get {_listed(twice)} twice"
        if not self.any_name and (unknown := self.named - nameable - self.keyword_only):
            return f"it takes no {_listed(unknown)}"
        missing = {*self.takes[count : len(self.takes) - self.optional]} | self.needs
        if missing := missing - self.named:
            return f"it needs {_listed(missing)}, too"
        return ""


def _listed(names: set[str] | frozenset[str]) -> str:
    return ", ".join(sorted(names))


#: Asked for every handler of every stream, and slow to find out.
_known: Final[WeakKeyDictionary[FunctionType, _MethodFacts]] = WeakKeyDictionary()


def _read_facts(
    function: FunctionType, given: int = 0, named: frozenset[str] = frozenset()
) -> _MethodFacts:
    code = function.__code__
    flags, names = code.co_flags, code.co_varnames
    coroutine = bool(flags & (CO_COROUTINE | CO_ITERABLE_COROUTINE))
    keyword_only = names[code.co_argcount : code.co_argcount + code.co_kwonlyargcount]
    return _MethodFacts(
        is_async=coroutine or _says_async(function),
        yields=bool(flags & (CO_GENERATOR | CO_ASYNC_GENERATOR)) and not coroutine,
        takes=names[: code.co_argcount],
        unnamed=code.co_posonlyargcount,
        optional=len(function.__defaults__ or ()),
        keyword_only=frozenset(keyword_only),
        needs=frozenset(keyword_only) - {*(function.__kwdefaults__ or ())},
        any_count=bool(flags & CO_VARARGS),
        any_name=bool(flags & CO_VARKEYWORDS),
        given=given,
        named=named,
    )


def _foreign_facts(method: Any) -> _MethodFacts | None:
    """Return what is certain of a callable that is no function; ``None`` if nothing is."""
    given, named = 0, frozenset[str]()
    for _ in range(20):
        if not issubclass(type(method), partial):
            break
        given += len(method.args)
        named |= {*method.keywords}
        method = method.func
    if type(method) is MethodType:
        given, method = given + 1, method.__func__
    elif (
        type(method) is not FunctionType and type(_static(type(method), "__call__")) is FunctionType
    ):
        given, method = given + 1, _static(type(method), "__call__")
    if type(method) is not FunctionType:
        return None
    return _read_facts(method, given, named)


def _says_async(method: Any) -> bool:
    """Whether a callable passes for a coroutine function; what it returns is looked at anyway."""
    try:
        return inspect.iscoroutinefunction(method) is True
    except Exception:  # noqa: BLE001 - an object may answer anything
        return False


# What is known of a class, and of its names.


@define(eq=False)
class _ClassFacts:
    """``label``: its name. ``holds``: which of the six it has. ``spelt``: its names were looked at."""

    label: str
    is_metaclass: bool
    holds: frozenset[str]
    spelt: bool = False


_known_classes: Final[WeakKeyDictionary[type, _ClassFacts]] = WeakKeyDictionary()


def _read_class(kind: type) -> _ClassFacts:
    holds = frozenset(name for name in METHODS if _static(kind, name) is not None)
    known = _ClassFacts(name_of(kind), issubclass(kind, type), holds)
    with suppress(Exception):  # else it is read again
        _known_classes[kind] = known
    return known


def _check_spelling(handler: object, calls: Mapping[str, object], known: _ClassFacts) -> None:
    """Raise ``TypeError`` for a method that is one of the six but for its spelling."""
    try:
        own = object.__getattribute__(handler, "__dict__")
    except Exception:  # noqa: BLE001 - slots, or a class that has its own idea of attributes
        own = {}
    if type(own) is dict:
        for name in own:
            if type(name) is str and name[:2].lower() == "on" and name not in METHODS:
                _check_name(name, own[name], calls, known.label)
    if known.spelt:
        return
    for name, value in _of_classes(type(handler)):
        _check_name(name, value, calls, known.label)
        if calls and name.startswith("on_") and _is_method(value) and misspelt(name) is None:
            meant = meant_by(name)
            log(
                logging.WARNING,
                "%s.%s is none of the six methods of a handler and is never called by a stream%s",
                known.label, name, f": did you mean {meant}?" if meant else "",
            )  # fmt: skip
    known.spelt = bool(calls)


def _check_name(name: str, value: object, calls: Mapping[str, object], label: str) -> None:
    near = misspelt(name)
    if near is not None and near not in calls and _is_method(value):
        message = f"{label}.{name} would never be called: did you mean {near}?"
        raise TypeError(message)


def _of_classes(kind: type) -> Iterator[tuple[str, object]]:
    """Yield the public attributes of a class, those of the base class and the six left out."""
    for link in kind.__mro__:
        if link is object or _is_base(link):
            continue
        for name, value in vars(link).items():
            if not name.startswith("_") and name not in METHODS and name not in BESIDE:
                yield name, value


def _is_method(value: object) -> bool:
    kind = type(value)
    if issubclass(kind, type):
        return False
    return callable(value) or issubclass(kind, (staticmethod, classmethod, partialmethod))


def _no_handler(handler: object, label: str) -> str:
    near = [
        f"{name} (did you mean {meant}?)"
        for name in dict.fromkeys(name for name, _ in _of_classes(type(handler)))
        if looks_like_one(name) and (meant := meant_by(name))
    ]
    found = f"; it has {', '.join(near)}" if near else ""
    its = "overrides" if issubclass(type(handler), tuple(_BASES)) else "has"
    return f"{label} is no handler: it {its} none of the methods {', '.join(METHODS)}{found}"
