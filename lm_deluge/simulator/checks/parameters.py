"""Which parameters each API has: what is none of them is refused as the real service refuses it.

Those of the providers' own packages, and those that well-known clients send without one.
"""

from __future__ import annotations

from typing import Final

__all__ = ["CHAT", "GEMINI", "GENERATION_CONFIG", "MESSAGES", "RESPONSES", "STREAM_OPTIONS"]

CHAT: Final = frozenset(
    "messages model audio frequency_penalty function_call functions logit_bias logprobs "
    "max_completion_tokens max_tokens metadata modalities moderation n parallel_tool_calls prediction "
    "presence_penalty prompt_cache_key prompt_cache_options prompt_cache_retention reasoning_effort "
    "response_format safety_identifier seed service_tier stop store stream stream_options temperature "
    "tool_choice tools top_logprobs top_p user verbosity web_search_options".split()
)
"""Of chat completions."""

STREAM_OPTIONS: Final = frozenset(("include_usage", "include_obfuscation"))
"""Of their ``stream_options``."""

RESPONSES: Final = frozenset(
    "access_programs background background_options context_management conversation image include input "
    "instructions max_output_tokens max_tool_calls metadata model moderation parallel_tool_calls "
    "previous_response_id prompt prompt_cache_key prompt_cache_options prompt_cache_retention reasoning "
    "safety_identifier service_tier store stream stream_options temperature text tool_choice tools "
    "top_logprobs top_p truncation user "
    # Of Codex, in no package.
    "client_metadata".split()
)
"""Of Responses."""

MESSAGES: Final = frozenset(
    "model messages max_tokens stream system stop_sequences temperature top_k top_p metadata tools "
    "tool_choice thinking service_tier output_config output_format container context_management "
    "mcp_servers cache_control inference_geo speed fallbacks billing_policy compaction diagnostics "
    "fallback_credit_token thread user_profile_id workspace_id".split()
)
"""Of Messages."""

GEMINI: Final = frozenset(
    "contents systemInstruction generationConfig tools toolConfig safetySettings cachedContent "
    "serviceTier store model labels modelArmorConfig".split()
)
"""Of ``generateContent``; in camels here, and taken in snakes, too."""

GENERATION_CONFIG: Final = frozenset(
    "maxOutputTokens temperature topP topK stopSequences thinkingConfig responseMimeType responseFormat "
    "responseSchema responseJsonSchema responseModalities candidateCount seed presencePenalty "
    "frequencyPenalty responseLogprobs logprobs speechConfig mediaResolution imageConfig "
    "enableEnhancedCivicAnswers audioTimestamp audioTranscriptionConfig enableAffectiveDialog "
    "modelSelectionConfig routingConfig translationConfig".split()
)
"""Of its ``generationConfig``."""
