"""A page in a real headless Chromium, driven by the DevTools protocol over aiohttp's websocket."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest

__all__ = ["Browser", "Page", "open_browser", "open_page"]

_FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
    "--remote-debugging-port=0",
)  # fmt: skip

#: Seconds; the tests of others may run at the same time.
_PATIENCE = 180.0

#: Of keys that a page obeys by itself.
_KEY_CODES = {"Enter": 13, "Escape": 27, "Tab": 9, " ": 32}

#: Pixels of a picture; a browser draws no higher ones.
_HIGHEST = 16_000

#: Where on the screen a point of an element lies, in shares of its width and height.
_PLACE = """((selector, x, y) => {
  const element = document.querySelector(selector);
  element.scrollIntoView({block: "center", behavior: "instant"});
  const box = element.getBoundingClientRect();
  return [box.x + box.width * x, box.y + box.height * y];
})"""


class Page:
    """A page that is open. ``complaints``: what went wrong in it; ``requests``: what it loaded."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.complaints: list[str] = []
        self.requests: list[str] = []
        self._socket = socket
        self._number = 0

    async def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol."""
        self._number += 1
        number = self._number
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        while True:
            message = await self._socket.receive_json(timeout=_PATIENCE)
            if message.get("id") == number:
                assert "error" not in message, message["error"]
                result = message["result"]
                assert isinstance(result, dict)
                return result
            self._note(message.get("method"), message.get("params", {}))

    def _note(self, event: str | None, values: dict[str, Any]) -> None:
        if event == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(values["exceptionDetails"])[:500])
        elif event == "Runtime.consoleAPICalled" and values["type"] in (
            "error",
            "warning",
            "assert",
        ):
            self.complaints.append(json.dumps(values["args"])[:500])
        elif event == "Log.entryAdded" and values["entry"]["level"] in ("error", "warning"):
            self.complaints.append(json.dumps(values["entry"])[:500])
        elif event == "Network.requestWillBeSent":
            self.requests.append(values["request"]["url"])

    async def value_of(self, expression: str) -> Any:
        """Evaluate JavaScript."""
        answer = await self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def result_of(self, expression: str) -> Any:
        """Evaluate JavaScript that is a promise; return what it comes to."""
        answer = await self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    async def until(self, expression: str, *, seconds: float = 60.0) -> Any:
        """Wait until JavaScript says something true; return it."""
        async with asyncio.timeout(seconds):
            while not (value := await self.value_of(expression)):
                await asyncio.sleep(0.05)
        return value

    async def prefer(self, scheme: Literal["light", "dark"]) -> None:
        """Be a user who likes it light, or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        await self.call("Emulation.setEmulatedMedia", features=[feature])

    async def size(self, width: int, height: int = 900) -> None:
        """Give the page a screen of so many pixels."""
        await self.call(
            "Emulation.setDeviceMetricsOverride",
            width=width, height=height, deviceScaleFactor=1, mobile=False,
        )  # fmt: skip

    async def point_at(self, selector: str, x: float, y: float) -> None:
        """Move the mouse to a point of an element, in shares of its width and height."""
        left, top = await self.value_of(f"{_PLACE}({json.dumps(selector)}, {x}, {y})")
        for shift in (3, 0):
            await self.call("Input.dispatchMouseEvent", type="mouseMoved", x=left + shift, y=top)

    async def press(self, key: str, *, shift: bool = False) -> None:
        """Press a key, named as in ``KeyboardEvent.key``."""
        code = _KEY_CODES.get(key)
        more = {} if code is None else {"windowsVirtualKeyCode": code}
        if key == "Enter":
            more["text"] = "\r"
        for kind in ("keyDown", "keyUp"):
            await self.call(
                "Input.dispatchKeyEvent",
                type=kind, key=key, code=key, modifiers=8 if shift else 0, **more,
            )  # fmt: skip

    async def type(self, text: str) -> None:
        """Type text where the focus is."""
        await self.call("Input.insertText", text=text)

    async def reload(self) -> None:
        """Load the page anew, and wait until it is ready."""
        await self.call("Page.reload")
        await self.until("document.documentElement?.dataset.ready", seconds=_PATIENCE)

    async def screenshot(self, path: Path | None = None, width: int = 1280) -> bytes:
        """Take a picture of the whole page, PNG."""
        await self.size(width)
        height = await self.value_of("document.documentElement.scrollHeight")
        await self.size(width, min(height, _HIGHEST))
        data = base64.b64decode((await self.call("Page.captureScreenshot"))["data"])
        if path is not None:
            path.write_bytes(data)
        return data

    async def printed(self, path: Path) -> None:
        """Write the page as it is printed on A4, PDF."""
        answer = await self.call(
            "Page.printToPDF", preferCSSPageSize=True, printBackground=False,
        )  # fmt: skip
        path.write_bytes(base64.b64decode(answer["data"]))


class Browser:
    """A running Chromium, in which any number of tabs may be open."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self._base_url = base_url
        self._tabs = contextlib.AsyncExitStack()

    async def first(self) -> Page:
        """The tab that is there from the beginning."""
        while True:
            async with self._session.get(self._base_url) as answer:
                for target in await answer.json():
                    if target["type"] == "page":
                        return await self._attached(target)
            await asyncio.sleep(0.05)

    async def open(self, url: str) -> Page:
        """Open one more tab, which is the one in front then."""
        async with self._session.put(f"{self._base_url}/new?about:blank") as answer:
            page = await self._attached(await answer.json())
        await page.call("Page.navigate", url=url)
        return page

    async def _attached(self, target: dict[str, Any]) -> Page:
        address = target["webSocketDebuggerUrl"]
        socket = await self._tabs.enter_async_context(
            self._session.ws_connect(address, max_msg_size=0)
        )
        page = Page(socket)
        for domain in ("Runtime", "Log", "Page", "Network"):
            await page.call(f"{domain}.enable")
        return page

    async def close(self) -> None:
        """Let go of the tabs."""
        await self._tabs.aclose()


@contextlib.asynccontextmanager
async def open_browser() -> AsyncIterator[Browser]:
    """Start Chromium; skip where there is none."""
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("no chromium on this machine (Debian: apt-get install chromium)")
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        process = await asyncio.create_subprocess_exec(
            chromium, *_FLAGS, f"--user-data-dir={profile}", "about:blank",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
        try:
            async with aiohttp.ClientSession() as session:
                async with asyncio.timeout(_PATIENCE):
                    base_url = await _address(Path(profile))
                browser = Browser(session, base_url)
                try:
                    yield browser
                finally:
                    await browser.close()
        finally:
            # Its own process group: the browser starts helpers.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


@contextlib.asynccontextmanager
async def open_page(
    where: Path | str, scheme: Literal["light", "dark"] = "light"
) -> AsyncIterator[Page]:
    """Open a file or an address in Chromium and wait until it is ready; skip where there is no Chromium."""
    async with open_browser() as browser:
        async with asyncio.timeout(_PATIENCE):
            page = await browser.first()
        await page.prefer(scheme)
        await page.call("Page.navigate", url=where if isinstance(where, str) else where.as_uri())
        await page.until("document.documentElement?.dataset.ready", seconds=_PATIENCE)
        yield page


async def _address(profile: Path) -> str:
    port = profile / "DevToolsActivePort"
    while not port.exists() or not port.read_text():
        await asyncio.sleep(0.05)
    return f"http://127.0.0.1:{port.read_text().splitlines()[0]}/json"
