"""What serves a relay over HTTP: aiohttp.web, and any ASGI server."""
