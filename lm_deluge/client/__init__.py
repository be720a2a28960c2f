"""``LLMClient`` and the streams it opens."""
