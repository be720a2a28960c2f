"""The one room that speaks HTTP: connections, requests, responses, and aiohttp's errors in our words."""
