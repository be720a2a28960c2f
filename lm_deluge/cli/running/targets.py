"""Whom the lines of a run are asked of, and what each of them is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import define, field, frozen

from lm_deluge import LLMClient, Stream
from lm_deluge.cli.running.asked import BatchBody
from lm_deluge.cli.running.bodies import WORDS
from lm_deluge.cli.running.foreign import plain_tools
from lm_deluge.cli.running.lines import PromptLine
from lm_deluge.engine.life import planned
from lm_deluge.models.providers import split_prefix
from lm_deluge.models.registry import ModelInfo
from lm_deluge.models.resolving import dialect_of
from lm_deluge.values.once import log_once

__all__ = ["AskedModel", "AskedModels"]

#: The prefix of a model's name that says by which API it is asked.
_PREFIXES: Final = {"messages": "anthropic:", "gemini": "gemini:"}

#: What every API knows in its own words and the library says itself, or that changes no answer.
_UNSAID: Final = frozenset({"metadata", "user", "store", "safety_identifier", "prompt_cache_key"})


@frozen(eq=False)
class AskedModel:
    """A model, as the rows name it, and the client that asks it. ``dialect``: by which API.

    ``info``: what is known of the model. ``schema``: what an answer shall fit, where a line asks for no
    form of its own.
    """

    name: str
    dialect: str
    client: LLMClient
    info: ModelInfo
    schema: dict[str, Any] | None = None

    def open(self, line: PromptLine, **more: Any) -> Stream:
        """Return a stream of a line that has not started; raises what ``open_stream`` does."""
        if line.body is None:
            if self.schema is not None and "response_format" not in line.options:
                more["schema"] = self.schema
            return self.client.open_stream(line.messages, **line.options, **more)
        if line.body.api == self.dialect:
            options = {**line.options, "extra_body": line.body.params}
            return self.client.open_stream(line.body.messages, **options, **more)
        return self.client.open_stream(line.messages, **self._translated(line, line.body), **more)

    def _translated(self, line: PromptLine, body: BatchBody) -> dict[str, Any]:
        """Return what a request for another API asks for, in the library's words."""
        options = dict(line.options)
        if "tools" in options:
            options["tools"] = plain_tools(options["tools"])
        choice = options.get("tool_choice")
        if isinstance(choice, dict):
            options["tool_choice"] = _choice(choice)
        if body.form is not None:
            options.setdefault("response_format", body.form)
        options["sampling_params"] = self.client.sampling_params.merged(**body.sampling)
        self._tell_of_unsaid(body)
        return options

    def _tell_of_unsaid(self, body: BatchBody) -> None:
        known = {"input", "text", "reasoning", "generationConfig", "anthropic_version"}
        words = _words(body.api)
        left = [name for name in body.params if name not in known | words | _UNSAID]
        for name in left:
            why = f"it is a word of the API that the line was written for, {body.api}"
            about = ("unsaid", self.name, name)
            log_once(about, "%s is not sent to %s: %s", name, self.name, why)


def _words(api: str) -> frozenset[str]:
    return frozenset(WORDS[api])


def _choice(choice: dict[str, Any]) -> Any:
    """Return the choice of a tool in the words of chat completions."""
    kind, name = choice.get("type"), choice.get("name")
    if kind in ("tool", "function") and isinstance(name, str):
        return {"type": "function", "function": {"name": name}}
    return {"any": "required", "auto": "auto", "none": "none"}.get(str(kind), choice)


@define(eq=False)
class AskedModels:
    """The models of a run. Clients are made when they are first needed, once for each model.

    ``names``: those of the command. ``chosen``: whether they were given on the command line, so that
    they count for bodies that name a model themselves. ``make``: returns a client of a model's name and
    a dialect, ``None`` where the name says it. ``dialect``: that of the command. ``schema``: what answers
    shall fit.
    """

    names: Sequence[str]
    chosen: bool
    dialect: str | None
    make: Callable[[str, str | None], LLMClient]
    schema: dict[str, Any] | None = None
    _known: dict[tuple[str, str | None], AskedModel] = field(factory=dict, init=False)

    def of(self, line: PromptLine) -> list[AskedModel]:
        """Return whom a line is asked of; raises what the client does for a model that it cannot ask."""
        body = line.body
        if body is not None and body.model is not None and not self.chosen:
            return [self._own(body.model, body.api)]
        return [self._named(name, self.dialect) for name in self.names]

    def known(self) -> list[AskedModel]:
        """Return those that a line was asked of so far."""
        return list(self._known.values())

    def _own(self, name: str, api: str) -> AskedModel:
        """Return the target of a request for this API that names its model."""
        if self.dialect is not None or split_prefix(name)[0] is not None or api == "chat":
            return self._named(name, self.dialect)
        if api in _PREFIXES:
            return self._named(_PREFIXES[api] + name.removeprefix("models/"), None)
        return self._named(name, api)

    def _named(self, name: str, dialect: str | None) -> AskedModel:
        found = self._known.get((name, dialect))
        if found is None:
            client = self.make(name, dialect)
            stream = client.open_stream("?")
            info = planned(stream).info
            stream.cancel()
            found = AskedModel(name, dialect_of(name, dialect), client, info, self.schema)
            self._known[name, dialect] = found
        return found
