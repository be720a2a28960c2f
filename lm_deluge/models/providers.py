"""Whose endpoints are known: where each is, its dialect, and the environment variables that it reads."""

from __future__ import annotations

from typing import Final


class Provider:
    """Who serves models of its own at an endpoint of its own.

    Attributes:
        name: as it is shown.
        base_url: its endpoint, with the version of the API in the path.
        base_url_env: the environment variable that its own package reads an address from.
        api_key_env: the environment variable with its key.
        first_key_env: another one, which wins where both are set; None: there is none.
    """

    # Written out: a class made of fields costs the import of the package more than all of this.
    __slots__ = ("api_key_env", "base_url", "base_url_env", "first_key_env", "name")

    def __init__(
        self,
        name: str,
        base_url: str,
        base_url_env: str,
        api_key_env: str,
        first_key_env: str | None = None,
    ) -> None:
        self.name = name
        self.base_url = base_url
        self.base_url_env = base_url_env
        self.api_key_env = api_key_env
        self.first_key_env = first_key_env


OPENAI: Final = Provider("OpenAI", "https://api.openai.com/v1", "OPENAI_BASE_URL", "OPENAI_API_KEY")
ANTHROPIC: Final = Provider(
    "Anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_BASE_URL", "ANTHROPIC_API_KEY"
)
GOOGLE: Final = Provider(
    "Google",
    "https://generativelanguage.googleapis.com/v1beta",
    "GOOGLE_GEMINI_BASE_URL",
    "GEMINI_API_KEY",
    # As google-genai has it.
    "GOOGLE_API_KEY",
)

#: What may stand before a name to say how it is asked: the dialect.
PREFIXES: Final = {
    "openai:": "chat",
    "openai-responses:": "responses",
    "anthropic:": "messages",
    "gemini:": "gemini",
}

#: Whose endpoint is asked in a dialect, unless an address is given.
PROVIDERS: Final = {"chat": OPENAI, "responses": OPENAI, "messages": ANTHROPIC, "gemini": GOOGLE}


def split_prefix(name: str) -> tuple[str | None, str]:
    """The dialect that the prefix of a name says, None without one, and the name after it."""
    prefix, colon, rest = name.partition(":")
    dialect = PREFIXES.get(prefix.lower() + colon)
    return (None, name) if dialect is None else (dialect, rest)


def prefixed_name(name: str) -> str | None:
    """How another provider's name is asked for at its own endpoint; None where that is not known.

    What others write before it, as `google/` and `claude:`, is no part of it.
    """
    starts = [0, *(index + 1 for index, char in enumerate(name) if char in "/:")]
    for start in reversed(starts):
        bare = name[start:]
        for beginning, prefix in (("claude", "anthropic:"), ("gemini", "gemini:")):
            if bare.lower().startswith(beginning):
                return prefix + bare
    return None
