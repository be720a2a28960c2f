"""Lines to paste, for shells and SDKs, that lead an app to a proxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from attrs import frozen

from lm_deluge.proxy.routes import Routes, Upstream

__all__ = ["Addresses", "lines"]


@frozen
class Addresses:
    """What each kind of client is given as its base URL: some append ``/v1`` themselves."""

    openai: str
    anthropic: str
    gemini: str

    @classmethod
    def of(cls, url: str, upstream: Upstream | None) -> Addresses:
        """Return those of a proxy, or of one of its names, that leads to an upstream; ``None``: to the
        providers.

        Where ``/v1`` stands for a path, that path ends where a client begins to append.
        """
        stands = upstream is not None and upstream.path and not upstream.path.endswith("/v1")
        whole = f"{url}/v1" if stands else url
        return cls(openai=f"{url}/v1", anthropic=whole, gemini=whole)

    @property
    def variables(self) -> Mapping[str, str]:
        """The environment variables that the providers' own packages read."""
        return {
            "OPENAI_BASE_URL": self.openai,
            "ANTHROPIC_BASE_URL": self.anthropic,
            "GOOGLE_GEMINI_BASE_URL": self.gemini,
        }


def lines(url: str, routes: Routes) -> Iterator[str]:
    """Yield the lines that lead to a proxy at ``url``."""
    given = Addresses.of(url, routes.main)
    shells = {
        "bash, zsh": "export {}={}",
        "fish": "set -gx {} {}",
        "PowerShell": '$env:{} = "{}"',
    }
    for shell, form in shells.items():
        yield f"# {shell}"
        yield from (form.format(*pair) for pair in given.variables.items())
        yield ""
    yield "# Python"
    yield f'OpenAI(base_url="{given.openai}")'
    yield f'Anthropic(base_url="{given.anthropic}")'
    yield f'genai.Client(http_options={{"base_url": "{given.gemini}"}})'
    yield ""
    yield "// Node"
    yield f'new OpenAI({{ baseURL: "{given.openai}" }})'
    yield f'new Anthropic({{ baseURL: "{given.anthropic}" }})'
    yield f'new GoogleGenAI({{ httpOptions: {{ baseUrl: "{given.gemini}" }} }})'
    for name, upstream in routes.named.items():
        own = Addresses.of(f"{url}/{name}", upstream)
        yield ""
        yield f"# {name}: {upstream.base_url}"
        yield f"export OPENAI_BASE_URL={own.openai}"
