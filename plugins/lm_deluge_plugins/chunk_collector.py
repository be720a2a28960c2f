"""``ChunkCollector``: keeps the tokens it hears."""

from __future__ import annotations

from lm_deluge import Stream, StreamHandler, Token

__all__ = ["ChunkCollector"]


class ChunkCollector(StreamHandler):
    """Keeps every token, of one stream or of several.

    ``tokens``: all of them, in order of arrival. ``by_stream``: those of each stream, by
    ``Stream.id``.
    """

    def __init__(self) -> None:
        self.tokens: list[Token] = []
        self.by_stream: dict[str, list[Token]] = {}

    @property
    def text(self) -> str:
        """The texts of ``tokens``, joined."""
        return "".join([token.text for token in self.tokens])

    def clear(self) -> None:
        """Forget everything."""
        self.tokens.clear()
        self.by_stream.clear()

    def on_token(self, stream: Stream, token: Token) -> None:
        """Keep one token."""
        self.tokens.append(token)
        own = self.by_stream.get(stream.id)
        if own is None:
            own = self.by_stream[stream.id] = []
        own.append(token)
