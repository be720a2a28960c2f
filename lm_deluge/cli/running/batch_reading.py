"""Lines of batch results, as they are read back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from lm_deluge.models.registry import cost_of, openai_model
from lm_deluge.values.usage import Usage

__all__ = ["cost_in", "is_answer", "is_batch_row"]


def is_batch_row(row: Mapping[str, Any]) -> bool:
    """Whether an object is a line of batch results, OpenAI's or Anthropic's."""
    return isinstance(row.get("custom_id"), str) and ("response" in row or "result" in row)


def is_answer(row: Mapping[str, Any]) -> bool:
    """Whether a line of batch results holds an answer, and no error."""
    response, result = row.get("response"), row.get("result")
    if isinstance(result, dict):
        return result.get("type") == "succeeded"
    return isinstance(response, dict) and response.get("status_code") == 200


def cost_in(row: Mapping[str, Any]) -> float:
    """Return what an answer of batch results cost, in US dollars; 0 where that is not known."""
    response, result = row.get("response"), row.get("result")
    body = response.get("body") if isinstance(response, dict) else None
    if isinstance(result, dict):
        body = result.get("message")
    if not isinstance(body, dict) or not isinstance(body.get("usage"), dict):
        return 0.0
    info = openai_model(str(body.get("model")))
    if info is None:
        return 0.0
    return cost_of(info, Usage.from_openai(body["usage"])) or 0.0
