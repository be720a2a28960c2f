"""The simulator itself."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from aiohttp import web

from lm_deluge.servers.entering import Entered
from lm_deluge.simulator.arguments import check_arguments, naming
from lm_deluge.simulator.faults.table import FaultPlan, Faults
from lm_deluge.simulator.saying.answer import Pacing
from lm_deluge.simulator.saying.pace import Gap
from lm_deluge.simulator.saying.script import Text, ToolCalls, Writer
from lm_deluge.simulator.saying.steps import Step
from lm_deluge.simulator.serving.connections import Connections, Sent
from lm_deluge.simulator.serving.delivery import Cors
from lm_deluge.simulator.serving.handling import RequestHandler
from lm_deluge.simulator.serving.listener import Listener
from lm_deluge.simulator.serving.received import ReceivedRequest, ReceivedRequests
from lm_deluge.simulator.serving.replay import Order, Replay, Speed
from lm_deluge.simulator.serving.service import Replies, Service
from lm_deluge.simulator.wires.wire import Served

if TYPE_CHECKING:
    from typing import Self

    from lm_deluge.recording import Recording

# Seconds; the promise is one second.
_STOP_LIMIT = 0.8


class Simulator(Entered):
    """A server of the four dialects on loopback, for tests and demos.

    >>> async with Simulator(text="Hello, world!", gap=0.05) as sim:  # doctest: +SKIP
    ...     client = LLMClient("gpt-6-sol", base_url=sim.base_url, api_key="test")
    ...     await client.stream("Hi")
    ...     assert sim.requests[0].json["model"] == "gpt-6-sol"

    Without ``async`` it runs on a thread of its own, so that a client that blocks is served, too:

    >>> with Simulator(text="Hello, world!") as sim:  # doctest: +SKIP
    ...     openai.OpenAI(base_url=sim.base_url, api_key="test").models.list()

    Functions given as ``text``, ``faults`` or ``reply`` are then called on that thread. All its
    methods can be called from any thread and awaited in any event loop; ``run`` awaits one for a
    caller that has none.

    It answers ``POST /v1/chat/completions`` and ``/v1/responses`` (streamed or not; the latter are kept for
    ``GET /v1/responses/{id}``, ``DELETE`` and ``POST …/cancel``), ``GET
    /v1/models`` and ``/v1/models/{id}``, Azure's ``POST /openai/deployments/{name}/chat/completions``, and
    Anthropic's ``POST /v1/messages`` and Google's ``POST /v1beta/models/{id}:streamGenerateContent`` and
    ``:generateContent``;
    other paths get a 404. It checks requests as the real services do, from tables of its own. The
    same ``seed`` and the same requests in the same order give the same answers.

    Arguments:
        port: 0 takes a free one.
        host: the address to listen on.
        seed: of texts, waits, ids and fault draws.
        text: what to say: a text (cut into word-like pieces), a list of pieces (sent as they are),
            a function of the request body that returns either, or ``None`` for text that depends
            on ``seed`` and the prompt.
        tokens: how many pieces when ``text`` is ``None``; by default 60 to 120, seeded.
        ttft: seconds from the request to the first token; the headers go out before. A number, a
            `Gap` or a text as for `Gap.parse`.
        gap: seconds between pieces, given like ``ttft``.
        jitter: 0.2 varies each wait by ±20 %.
        usage: ``False`` never sends usage, a mapping is sent in place of the counted one. As with
            the real service a stream has usage only if ``stream_options.include_usage`` asks.
        reasoning: visible reasoning, as a text or a number of pieces. Reasoning models hide theirs
            and only bill it; that needs no argument.
        reasoning_field: the field of the delta that carries it; OpenRouter, vLLM and Groq use
            ``"reasoning"``.
        refusal: text of a refusal, sent in place of an answer.
        tool_calls: pairs of a name and arguments (a mapping, or a text sent as it is), or a list of them
            for each round, called
            after the text if there is one, unless the last message is a tool's result. When
            ``None``, a tool is called if ``tool_choice`` is ``"required"`` or names one, with
            arguments that fit its schema.
        api_key: the only key accepted; ``None`` accepts any.
        models: the names served; ``None`` stands for those of the real service.
        faults: what goes wrong: see `Fault`. One fault (or its name) for every request; a sequence
            for one request each in order of arrival, ``None`` being healthy, and all after its end
            healthy; a mapping from fault to probability of which at most one is drawn per request;
            or a function of the request's index. ``None``: nothing.
        reply: a function of the request that returns what to do: a `Reply`, steps, a text to
            say, or ``None`` for the usual answer. The checks are left out.
        raw: the steps of every reply, whichever the dialect. Must be repeatable: a list, no iterator.
        replay: a recording (a path, or what `read_recording` returns) to serve in place of simulated
            answers, with the same bytes and cuts. The checks are left out.
        speed: of the replay: 1 is the recorded pace, 10 ten times as fast, ``"max"`` without waits.
        replay_by: which recorded answer a request gets: the next in ``"order"``; by ``"hash"`` the next
            one of an equal request, the last one again and again; or in a ``"loop"``. Where there is
            none, a 404 with the code ``not_recorded``.
        spacing: least seconds between two ``bytes`` steps of ``raw`` and ``reply``.
        cors: which web pages may ask: ``True`` for every one, or origins like
            ``"http://localhost:5173"``. Their preflights are answered.
        keep_requests: how many requests ``requests`` keeps, the latest ones; ``None`` keeps all.
        backlog: connections the kernel queues before they are accepted.

    Raises:
        TypeError, ValueError: an argument makes no sense; the message names it.
        OSError: the recording cannot be read.
    """

    _kind = "simulator"

    def __init__(
        self,
        port: int = 0,
        host: str = "127.0.0.1",
        *,
        seed: int = 0,
        text: Text = None,
        tokens: int | None = None,
        ttft: float | str | Gap = 0.0,
        gap: float | str | Gap = 0.0,
        jitter: float = 0.0,
        usage: bool | Mapping[str, Any] = True,
        reasoning: int | str | None = None,
        reasoning_field: str = "reasoning_content",
        refusal: str | None = None,
        tool_calls: ToolCalls | None = None,
        api_key: str | None = None,
        models: Collection[str] | None = None,
        faults: Faults | None = (),
        reply: Replies | None = None,
        raw: Iterable[Step] | None = None,
        replay: str | os.PathLike[str] | Recording | None = None,
        speed: Speed = 1,
        replay_by: Order = "order",
        spacing: float = 0.001,
        cors: bool | str | Collection[str] = False,
        keep_requests: int | None = None,
        backlog: int = 4096,
    ) -> None:
        given = dict(locals())
        del given["self"]
        check_arguments(given)
        if replay is not None:
            with naming("replay"):
                reply = Replay(replay, speed=speed, order=replay_by)
        with naming("ttft"):
            first = Gap.of(ttft)
        with naming("gap"):
            between = Gap.of(gap)
        self.host = host
        self._received = ReceivedRequests(keep_requests)
        self._listener = Listener(host, port, backlog)
        with naming("cors"):
            allowed = Cors.of(cors)
        with naming("faults"):
            self._faults = FaultPlan.of(() if faults is None else faults, seed)
        service = Service(
            writer=Writer(
                seed=seed,
                text=text,
                tokens=tokens,
                reasoning=reasoning,
                refusal=refusal,
                tool_calls=tool_calls,
            ),
            pacing=Pacing(ttft=first, gap=between, jitter=jitter, seed=seed),
            faults=self._faults,
            served=Served(
                seed=seed,
                api_key=api_key,
                models=models,
                usage=usage,
                reasoning_field=reasoning_field,
            ),
            scripted=reply if raw is None else lambda _: raw,
            spacing=spacing,
        )
        self._handler = RequestHandler(
            service=service, received=self._received, cors=allowed, seed=seed
        )
        self._connections: Connections | None = None

    # -- where it is, who is there

    @property
    def port(self) -> int:
        """The port it listens on. Raises `RuntimeError` before the start."""
        return self._listener.port

    @property
    def url(self) -> str:
        """``http://HOST:PORT``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"

    @property
    def base_url(self) -> str:
        """``http://HOST:PORT/v1``, what clients want as their base URL."""
        return f"{self.url}/v1"

    @property
    def requests(self) -> list[ReceivedRequest]:
        """Requests in order of arrival."""
        return self._received.latest

    @property
    def request_count(self) -> int:
        """How many requests ever arrived."""
        return self._received.count

    @property
    def connections(self) -> int:
        """How many TCP connections were ever accepted."""
        return 0 if self._connections is None else self._connections.accepted

    @property
    def open_connections(self) -> int:
        """How many TCP connections are open now."""
        return 0 if self._connections is None else len(self._connections.open)

    async def wait_closed_connections(self, timeout: float = 1.0) -> None:  # noqa: ASYNC109
        """Wait until no connection is open.

        Raises:
            TimeoutError: some still were after ``timeout`` seconds; the message says how many.
        """
        await self._here(self._none_open(timeout))

    async def _none_open(self, timeout: float) -> None:  # noqa: ASYNC109
        if self._connections is None:
            return
        try:
            async with asyncio.timeout(timeout):
                await self._connections.none_open.wait()
        except TimeoutError:
            raise TimeoutError(
                f"{self.open_connections} connections still open after {timeout} s"
            ) from None

    async def wait_request(self, number: int = 1, timeout: float = 5.0) -> ReceivedRequest:  # noqa: ASYNC109
        """Wait until ``number`` requests ever arrived; return the latest.

        Raises:
            TimeoutError: fewer had arrived after ``timeout`` seconds; the message says how many.
        """
        return await self._here(self._received.wait(number, timeout))

    # -- life

    async def start(self) -> Self:
        """Listen, and return this simulator.

        Raises `OSError` when the port is taken, `RuntimeError` when started already.
        """
        await self._enter()
        return self

    def _is_started(self) -> bool:
        return self._connections is not None

    async def _open(self) -> None:
        self._listener.bind()
        self._connections = Connections(self._handle)
        refusing = self._faults.refuses_for
        if refusing is None:
            await self._listener.listen(self._connections)
        elif refusing > 0:
            self._listener.listen_after(refusing, self._connections)

    async def stop(self) -> None:
        """Close everything within a second, whatever the replies are doing. Harmless twice."""
        await self._here(self._close())

    async def _close(self) -> None:
        await self._listener.stop()
        if self._connections is not None:
            await self._connections.close(_STOP_LIMIT)
        self._listener.release()
        self._connections = None

    async def run_forever(self) -> None:
        """Start if need be, serve until cancelled, then stop."""
        if self._connections is None:
            await self.start()
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            await self.stop()

    async def listen(self) -> None:
        """Accept connections again after `refuse`."""
        await self._here(self._listen())

    async def _listen(self) -> None:
        if self._connections is None:
            raise RuntimeError("the simulator has not been started")
        await self._listener.listen(self._connections)

    async def refuse(self) -> None:
        """Refuse new connections from now on; those that are open stay open."""
        await self._here(self._refuse())

    async def _refuse(self) -> None:
        self._listener.refuse()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        if self._connections is None:
            return Sent(keep=False)
        return await self._handler.handle(request, self._connections)
