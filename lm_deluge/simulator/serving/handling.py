"""One request: read, noted, answered."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import attrs
from aiohttp import ClientError, web

from lm_deluge.simulator.saying.play import Player
from lm_deluge.simulator.saying.steps import Reply
from lm_deluge.simulator.saying.words import rng_for
from lm_deluge.simulator.serving.connections import Connection, Connections, Sent
from lm_deluge.simulator.serving.delivery import CONTINUE, Cors, fitted, refused_head
from lm_deluge.simulator.serving.received import ReceivedRequest, ReceivedRequests
from lm_deluge.simulator.serving.service import Service

__all__ = ["RequestHandler"]


@attrs.define(eq=False, kw_only=True)
class RequestHandler:
    """What is done with each request of a server; ``seed``: of the requests' ids."""

    service: Service
    received: ReceivedRequests
    cors: Cors | None
    seed: int

    async def handle(self, request: web.BaseRequest, connections: Connections) -> Sent:
        """Answer a request that came on one of the connections."""
        connection = connections.open.get(request.protocol)
        if connection is None or connections.closing:
            return Sent(keep=False)
        at = time.perf_counter()
        connection.task = asyncio.current_task()
        connection.owner = request.task
        refused = refused_head(request)
        try:
            if refused is None and "Expect" in request.headers and request.version >= (1, 1):
                connection.transport.write(CONTINUE)
            body = b"" if refused is not None else await request.read()
        except (ConnectionError, ClientError):
            # The client left before its request was whole.
            return Sent(keep=False)
        record = ReceivedRequest(
            method=request.method,
            path=request.path,
            query=dict(request.query),
            headers=request.headers,
            body=body,
            json=_parsed(body),
            connection=connection.number,
            index=self.received.count,
            at=at,
        )
        connection.record = record
        await self.received.add(record)
        return await self._answer(request, refused, record, connection)

    async def _answer(
        self,
        request: web.BaseRequest,
        refused: Reply | None,
        record: ReceivedRequest,
        connection: Connection,
    ) -> Sent:
        player = Player(connection.transport, request.writer, record)
        keep = False
        try:
            reply = fitted(refused or self._reply(record), request, self.cors)
            keep = request.keep_alive and refused is None
            keep = await player.play(reply, self._request_id(record), keep=keep)
        except ConnectionError:
            record.gone_at = record.gone_at or time.perf_counter()
        finally:
            record.finished.set()
            connection.record = None
            connection.task = None
        return Sent(keep=keep)

    def _reply(self, record: ReceivedRequest) -> Reply:
        if self.cors is not None and record.method == "OPTIONS":
            return self.cors.preflight(record.headers)
        return self.service.reply(record)

    def _request_id(self, record: ReceivedRequest) -> str:
        return f"req_{rng_for(self.seed, 'request', record.index).getrandbits(128):032x}"


def _parsed(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return None
