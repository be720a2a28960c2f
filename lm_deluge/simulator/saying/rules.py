"""What each model of the real service takes: the simulator's own table.

It shares nothing with the client's registry, or a wrong entry there could never be noticed.
"""

from __future__ import annotations

import re
from collections.abc import Collection

import attrs

_EFFORTS = ("low", "medium", "high")


@attrs.frozen(kw_only=True)
class Rules:
    """What one family of models takes."""

    reasoning: bool = False
    efforts: tuple[str, ...] = ()
    """Values of ``reasoning_effort`` it takes; empty when it does not know the parameter."""
    default_effort: str | None = None
    max_tokens: bool = True
    sampling_at: tuple[str | None, ...] = (None,)
    """Efforts at which temperature, top_p, penalties, logprobs and stop are taken."""
    default_values_only: bool = False
    """``temperature`` is refused by its value, not by its name (the default value passes)."""
    stop: bool = False
    """``stop`` is taken even where the other sampling parameters are not."""
    roles_refused: tuple[str, ...] = ()
    strict: bool = True
    """Parameters that the service does not know are refused; servers of open models pass them over."""
    context: int = 128_000


_PLAIN = Rules(context=128_000)
#: Of servers like vLLM, SGLang, llama.cpp and Ollama.
_OPEN = attrs.evolve(_PLAIN, strict=False)
_REASONING = Rules(
    reasoning=True,
    efforts=_EFFORTS,
    default_effort="medium",
    max_tokens=False,
    sampling_at=(),
    context=200_000,
)
#: Of gpt-5 and later.
_GPT_5 = attrs.evolve(_REASONING, default_values_only=True, context=400_000)
_GPT_5_5 = attrs.evolve(_GPT_5, efforts=("none", *_EFFORTS, "xhigh"), sampling_at=("none",))
_GPT_6 = attrs.evolve(_GPT_5, efforts=(*_EFFORTS, "xhigh"), context=1_050_000)

# First match wins; a pattern is matched against the name without its date.
_TABLE: tuple[tuple[str, Rules], ...] = (
    (
        r"o1-(mini|preview)",
        attrs.evolve(
            _REASONING,
            efforts=(),
            default_effort=None,
            default_values_only=True,
            roles_refused=("system", "developer"),
            context=128_000,
        ),
    ),
    (r"(o1(-pro)?|o3-mini)", attrs.evolve(_REASONING, stop=True)),
    (
        r"(o3(-pro)?|o4-mini)(-deep-research)?|computer-use",
        attrs.evolve(_REASONING, default_values_only=True),
    ),
    (r"gpt-5(\.\d+)?-chat", _PLAIN),
    (r"gpt-5(-(mini|nano|pro|codex))?", attrs.evolve(_GPT_5, efforts=("minimal", *_EFFORTS))),
    (
        r"gpt-5\.1(-(mini|nano|codex(-(mini|max))?))?",
        attrs.evolve(
            _GPT_5, efforts=("none", *_EFFORTS), default_effort="none", sampling_at=("none",)
        ),
    ),
    (r"gpt-5\.[2-4](-(mini|nano|pro|codex))?", attrs.evolve(_GPT_5_5, default_effort="none")),
    (r"gpt-5\.[5-9](-(mini|nano|pro|codex|cyber))?", _GPT_5_5),
    (
        r"gpt-5\.[6-9]-(sol|terra|luna)|gpt-6-(sol|luna)|gpt-6\.1-terra",
        attrs.evolve(_GPT_6, efforts=("none", *_EFFORTS, "xhigh"), sampling_at=("none",)),
    ),
    (r"gpt-6(\.\d)?-(astra|sol|terra|luna|cyber|rosalind)", _GPT_6),
    (r"gpt-rosalind-.+|(gpt-)?daybreak-.+", _GPT_6),
    (r"gpt-4\.1(-(mini|nano))?", Rules(context=1_047_576)),
    (r"(chatgpt-)?gpt-4o(-mini)?|chatgpt-4o", _PLAIN),
    (r"gpt-4-turbo", _PLAIN),
    (r"gpt-4(-32k)?", Rules(context=8_192)),
    (r"gpt-3\.5-turbo(-16k)?", Rules(context=16_385)),
)
_RULES = tuple((re.compile(pattern), rules) for pattern, rules in _TABLE)
_DATE = re.compile(r"-(\d{4}-\d{2}-\d{2}|\d{4}|latest|preview)(-preview)?$")

#: What the real service answers for an alias without a date.
DATED = {
    "gpt-4o": "gpt-4o-2024-08-06",
    "gpt-4o-mini": "gpt-4o-mini-2024-07-18",
    "gpt-4.1": "gpt-4.1-2025-04-14",
    "gpt-4.1-mini": "gpt-4.1-mini-2025-04-14",
    "gpt-4.1-nano": "gpt-4.1-nano-2025-04-14",
    "gpt-4-turbo": "gpt-4-turbo-2024-04-09",
    "gpt-4": "gpt-4-0613",
    "gpt-3.5-turbo": "gpt-3.5-turbo-0125",
    "o1": "o1-2024-12-17",
    "o1-mini": "o1-mini-2024-09-12",
    "o1-preview": "o1-preview-2024-09-12",
    "o3": "o3-2025-04-16",
    "o3-mini": "o3-mini-2025-01-31",
    "o4-mini": "o4-mini-2025-04-16",
    "gpt-5": "gpt-5-2025-08-07",
    "gpt-5-mini": "gpt-5-mini-2025-08-07",
    "gpt-5-nano": "gpt-5-nano-2025-08-07",
    "gpt-5-chat-latest": "gpt-5-chat-latest",
    "gpt-5.1": "gpt-5.1-2025-11-13",
    "gpt-5.2": "gpt-5.2-2025-12-11",
    "gpt-5.4": "gpt-5.4",
    "gpt-5.4-mini": "gpt-5.4-mini",
    "gpt-5.5": "gpt-5.5",
    "gpt-6-sol": "gpt-6-sol",
    "gpt-6-luna": "gpt-6-luna",
}


def _family(model: str) -> Rules | None:
    base = model.split(":")[1] if model.startswith("ft:") and ":" in model[3:] else model
    for name in (base, _DATE.sub("", base)):
        for pattern, rules in _RULES:
            if pattern.fullmatch(name):
                return rules
    return None


def find_rules(model: str, *, served: Collection[str] | None) -> Rules | None:
    """The rules of a model; ``None`` when the service does not know it.

    ``served`` are the names this server knows; ``None`` stands for those of the real service.
    A served name of no known family is taken for an open model without reasoning.
    """
    family = _family(model)
    if served is None:
        return family
    return (family or _OPEN) if model in served else None


def lenient_rules(model: str) -> Rules:
    """The rules for a name that is right by definition, such as a deployment on Azure."""
    return _family(model) or _PLAIN
