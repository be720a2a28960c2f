"""A page that shows an answer as it arrives, behind aiohttp.web; a reload goes on where it was.

Run it with ``python examples/relay_aiohttp.py`` and open the address that it prints.
"""

import os

from aiohttp import web

from lm_deluge import LLMClient
from lm_deluge_plugins.relay import Relay, aiohttp_web

PAGE = """<!doctype html><meta charset="utf-8"><title>A stream</title>
<input id="say" value="Tell me of rivers."><button id="ask">Ask</button><p id="answer"></p>
<script>
const listen = (id) => {
  answer.textContent = "";
  const events = new EventSource("/streams/" + id);  // comes back by itself with the last event's id
  events.onmessage = ({ data }) => {
    for (const item of JSON.parse(data).items) {
      if (item.kind === "text") answer.textContent += item.text;
      if (["complete", "error", "cancelled"].includes(item.kind)) events.close();
    }
  };
};
ask.onclick = async () => {
  const reply = await fetch("/ask", { method: "POST", body: say.value });
  location.hash = await reply.text();
  listen(location.hash.slice(1));
};
if (location.hash) listen(location.hash.slice(1));
</script>"""


def make_app(client: LLMClient) -> web.Application:
    relay = Relay(on_disconnect="continue")

    async def page(request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html")

    async def ask(request: web.Request) -> web.Response:
        stream = client.open_stream(await request.text())
        return web.Response(text=await relay.publish(stream))

    app = web.Application()
    app.router.add_get("/", page)
    app.router.add_post("/ask", ask)
    aiohttp_web.add_routes(app, relay)  # GET /streams/{id}, POST /streams/{id}/stop
    return app


if __name__ == "__main__":
    web.run_app(make_app(LLMClient(os.environ.get("MODEL", "gpt-6-luna"))), host="127.0.0.1")
