"""A page that shows an answer as it arrives, behind aiohttp.web; a reload goes on where it was.

Run it with ``python examples/relay_aiohttp.py`` and open the address that it prints. What each reader saw
and when is in ``timeline.jsonl`` with the rest: ``lm-deluge report timeline.jsonl``.
"""

import os

from aiohttp import web

from lm_deluge import LLMClient
from lm_deluge_plugins import FileLogger
from lm_deluge_plugins.relay import Relay, aiohttp_web

PAGE = """<!doctype html><meta charset="utf-8"><title>A stream</title>
<input id="say" value="Tell me of rivers."><button id="ask">Ask</button><button id="halt">Stop</button>
<p id="text"></p>
<script type="module">
import { stream } from "/streams/lm_deluge.js";
let answer;
const show = async (url, options) => {
  text.textContent = "";
  answer = stream(url, options);  // comes back by itself where the network was lost
  try {
    for await (const piece of answer) {
      location.hash = answer.id;  // a reload reads on
      if (piece.kind === "text") text.append(piece.text);
    }
  } catch (error) {
    text.append(" [" + error.message + "]");
  }
};
ask.onclick = () => show("/ask", { method: "POST", body: say.value });
halt.onclick = () => answer.stop();
if (location.hash) show("/streams/" + location.hash.slice(1));
</script>"""


def make_app(client: LLMClient, log: FileLogger) -> web.Application:
    relay = Relay(on_disconnect="continue", seen=log)

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def ask(request: web.Request) -> web.StreamResponse:
        stream = client.open_stream(await request.text(), handlers=[log])
        return await aiohttp_web.respond(relay, request, stream)

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_post("/ask", ask)
    aiohttp_web.add_routes(app, relay)  # /streams/lm_deluge.js, GET /streams/{id}, stop, seen
    return app


if __name__ == "__main__":
    client = LLMClient(os.environ.get("MODEL", "gpt-6-luna"))
    web.run_app(make_app(client, FileLogger("timeline.jsonl")), host="127.0.0.1")
