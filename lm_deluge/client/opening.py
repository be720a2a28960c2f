"""How a client opens a stream: what is asked of its models, and who hears it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from lm_deluge.client.asking import model_request
from lm_deluge.client.default_printer import PRINT, default_printer
from lm_deluge.client.options import CheckedOptions
from lm_deluge.client.routes import Access, Route, redactor_for
from lm_deluge.config import Limits, ReasoningSummary, RetryPolicy, SamplingParams, Timeouts
from lm_deluge.engine.life import new_stream
from lm_deluge.engine.plan import Plan, Running, Slots
from lm_deluge.http.transport import Transport
from lm_deluge.observers.attach import attach
from lm_deluge.observers.stream import Stream
from lm_deluge.values.conversation import Prompt, to_messages
from lm_deluge.values.prompt_facts import PromptFacts

if TYPE_CHECKING:
    from lm_deluge.engine.prices import Pricing
    from lm_deluge.recording import Recorder
    from lm_deluge.values.pieces import Delta

__all__ = ["StreamOpener"]


class StreamOpener:
    """What of an ``LLMClient`` opens its streams; the client sets and checks the attributes."""

    model: str
    fallback_models: tuple[str, ...]
    sampling_params: SamplingParams
    reasoning_summary: ReasoningSummary | None
    resume: bool
    timeouts: Timeouts
    retries: RetryPolicy
    limits: Limits
    handlers: tuple[object, ...]
    tags: dict[str, Any]
    strict: bool
    handler_wait: float
    _access: Access
    _extra_body: dict[str, Any]
    _stream_options: bool | None
    _max_tokens_field: str | None
    _recorder: Recorder | None
    _pricing: Pricing | None
    _slots: Slots
    _running: Running
    _transport: Transport
    #: What it opens.
    _kind: type[Stream] = Stream

    def _opened(
        self,
        prompt: Prompt,
        options: CheckedOptions,
        printer: object | None,
        carried: Sequence[Delta] | None = None,
    ) -> Stream:
        """Return a new stream. ``carried``: of a round, the results it tells; ``None``: it is none."""
        messages = to_messages(prompt)
        extra = {**self._extra_body, **options.extra_body}
        if options.has_called:
            from lm_deluge.tools.kit import body_after_the_first

            extra = body_after_the_first(extra)
        recorder = self._recorder.for_stream() if self._recorder is not None else None
        routes = [self._access.route(name) for name in (self.model, *self.fallback_models)]
        redactor = redactor_for(routes, extra, options.tools)
        params = options.sampling_params or self.sampling_params
        asked: dict[str, Any] = {
            "messages": messages,
            "params": params.merged(**options.fields) if options.fields else params,
            "tools": options.tools,
            "tool_choice": options.tool_choice,
            "response_format": options.response_format,
            "extra_body": extra,
            "stream_options": self._stream_options,
            "max_tokens_field": self._max_tokens_field,
            "reasoning_summary": self.reasoning_summary
            if options.keeps_summary
            else options.reasoning_summary,
            "resume": self.resume if options.resume is None else options.resume,
        }
        if options.shape is not None:
            from lm_deluge.client.shaping import asked_for

            asked |= asked_for(options.shape, asked["params"], options.response_format)
        timeouts = options.timeouts or self.timeouts
        targets = [
            model_request(
                route,
                asked if route is routes[0] else self._asked_of(route, asked, routes[0]),
                timeouts,
                redactor,
                recorder,
                is_first=route is routes[0],
            )
            for route in routes
        ]
        if carried is not None and any(target.choices > 1 for target in targets):
            raise ValueError(f"n is {targets[0].choices}, and run_tools goes on with one answer")
        plan = Plan(
            targets=tuple(targets),
            transport=self._transport,
            slots=self._slots,
            running=self._running,
            policy=self.retries,
            limits=self.limits,
            redactor=redactor,
            tags={**self.tags, **options.tags},
            prompt=PromptFacts(messages),
            strict=self.strict,
            handler_wait=self.handler_wait,
            pricing=self._pricing,
            carried=carried or (),
            shape=options.shape,
        )
        stream = new_stream(plan, self._kind)
        stream.shape = options.shape
        if recorder is not None:
            attach(recorder, stream)
        if printer is not None:
            attach(default_printer() if printer is PRINT else printer, stream)
        for handler in (*self.handlers, *options.handlers):
            attach(handler, stream)
        return stream

    def _asked_of(self, route: Route, asked: Mapping[str, Any], first: Route) -> Mapping[str, Any]:
        """Return what is asked of a fallback. ``asked``: what is asked of the first model."""
        if self._access.has(route):
            return asked
        from lm_deluge.client.elsewhere import asked_elsewhere

        return asked_elsewhere(asked, route.info, first.info)
