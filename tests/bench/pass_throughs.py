"""The pass-throughs that are measured, each a process of its own in front of the same server.

python tests/bench/pass_throughs.py URL      the least that aiohttp can be: it prints its address
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import create_server
from typing import Any, Final

HERE: Final = Path(__file__).resolve()

#: Where LiteLLM is kept for the next time: it is 750 MB.
LITELLM: Final = Path(tempfile.gettempdir()) / "lm-deluge-bench-litellm"

#: Seconds that a program may take until it answers.
_PATIENCE: Final = 300.0


async def bare(upstream: str) -> None:
    """Be the least pass-through that aiohttp can be: it looks at nothing."""
    import aiohttp
    from aiohttp import web

    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), auto_decompress=False,
        timeout=aiohttp.ClientTimeout(total=None),
    )  # fmt: skip

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        headers = {
            k: v for k, v in request.headers.items() if k.lower() not in ("host", "content-length")
        }
        async with session.request(
            request.method, upstream + request.raw_path,
            data=body, headers=headers,
        ) as answer:  # fmt: skip
            reply = web.StreamResponse(
                status=answer.status, headers={"Content-Type": answer.headers["Content-Type"]}
            )
            reply.enable_chunked_encoding()
            await reply.prepare(request)
            async for data in answer.content.iter_any():
                await reply.write(data)
            await reply.write_eof()
            return reply

    server = web.Server(handle)
    listening = await asyncio.get_running_loop().create_server(server, "127.0.0.1", 0, backlog=8192)
    print(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", flush=True)
    await asyncio.Event().wait()


@contextmanager
def program(*command: str) -> Iterator[tuple[int, str]]:
    """Run a program that prints its address first; give its process and that."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            assert process.stdout is not None
            found = re.search(r"http://[\w.:]+", process.stdout.readline())
            assert found is not None, command
            yield process.pid, found[0]
        finally:
            process.kill()


@contextmanager
def _server(*command: str, **environment: str) -> Iterator[tuple[int, str]]:
    """Run a program with a free port for ``PORT``; give its process and its address once it answers."""
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with subprocess.Popen(
        [part.replace("PORT", str(port)) for part in command],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env={**os.environ, **environment},
    ) as process:
        try:
            until = time.monotonic() + _PATIENCE
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise OSError(f"{command[0]} does not serve")
                time.sleep(0.1)
            yield process.pid, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def _answers(port: int) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/health/liveliness")
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


@contextmanager
def nginx(path: str, upstream: str, folder: Path) -> Iterator[tuple[int, str]]:
    """Run nginx with ``proxy_buffering off``, one worker."""
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    (folder / "logs").mkdir(exist_ok=True)
    config = folder / "nginx.conf"
    config.write_text(
        f"daemon off; master_process off; worker_processes 1; pid {folder}/pid; error_log {folder}/error;\n"
        "events { worker_connections 10000; }\n"
        f"http {{ access_log off; client_body_temp_path {folder}; proxy_temp_path {folder};\n"
        f"fastcgi_temp_path {folder}; uwsgi_temp_path {folder}; scgi_temp_path {folder};\n"
        f"server {{ listen 127.0.0.1:{port} backlog=8192; location / {{ proxy_pass {upstream};\n"
        'proxy_buffering off; proxy_http_version 1.1; proxy_set_header Connection ""; }\n'
        "location /health { return 204; } } }\n"
    )
    with subprocess.Popen((path, "-p", str(folder), "-c", str(config))) as process:
        try:
            until = time.monotonic() + _PATIENCE
            while not _answers(port):
                if process.poll() is not None or time.monotonic() > until:
                    raise OSError("nginx does not serve")
                time.sleep(0.05)
            yield process.pid, f"http://127.0.0.1:{port}"
        finally:
            process.kill()


def installed_litellm(folder: Path) -> str:
    """Return LiteLLM's program, which is installed into an environment of its own the first time.

    Raises ``OSError`` where it cannot be had.
    """
    found = folder / "bin" / "litellm"
    if not found.exists():
        venv.create(folder, with_pip=True)
        done = subprocess.run(
            [folder / "bin/python", "-m", "pip", "install", "-q", "litellm[proxy]>=1.80"],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            raise OSError(done.stderr.strip().splitlines()[-1:])
    return str(found)


@contextmanager
def litellm(path: str, upstream: str, folder: Path) -> Iterator[tuple[int, str]]:
    """Run LiteLLM's proxy, one worker, with nothing configured but the model."""
    config = folder / "litellm.yaml"
    to = {"model": "openai/gpt-4o", "api_base": f"{upstream}/v1", "api_key": "k"}
    config.write_text(json.dumps({"model_list": [{"model_name": "gpt-4o", "litellm_params": to}]}))
    command = (path, "--config", str(config), "--host", "127.0.0.1", "--port", "PORT")
    environment: dict[str, Any] = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
        "LITELLM_MASTER_KEY": "sk-bench",  # the reader's
        "PYTHONPATH": "",
    }
    with _server(*command, "--num_workers", "1", **environment) as running:
        yield running


if __name__ == "__main__":
    asyncio.run(bare(sys.argv[1]))
