"""A good stream of each dialect with an event of every kind, to be spoilt."""

from __future__ import annotations

from typing import Any

MESSAGES: list[dict[str, Any]] = [
    {
        "type": "message_start",
        "message": {
            "id": "m",
            "type": "message",
            "role": "assistant",
            "model": "c",
            "content": [],
            "stop_reason": None,
            "usage": {"input_tokens": 1, "output_tokens": 1},
        },
    },
    {
        "type": "content_block_start",
        "index": 0,
        "content_block": {"type": "thinking", "thinking": "", "signature": ""},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "thinking_delta", "thinking": "hm"},
    },
    {
        "type": "content_block_delta",
        "index": 0,
        "delta": {"type": "signature_delta", "signature": "zz"},
    },
    {"type": "content_block_stop", "index": 0},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "hi"}},
    {
        "type": "content_block_delta",
        "index": 1,
        "delta": {"type": "citations_delta", "citation": {"cited_text": "q", "text": "t"}},
    },
    {"type": "content_block_stop", "index": 1},
    {
        "type": "content_block_start",
        "index": 2,
        "content_block": {"type": "server_tool_use", "id": "s", "name": "web", "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 2,
        "delta": {"type": "input_json_delta", "partial_json": "{}"},
    },
    {"type": "content_block_stop", "index": 2},
    {
        "type": "content_block_start",
        "index": 3,
        "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}},
    },
    {
        "type": "content_block_delta",
        "index": 3,
        "delta": {"type": "input_json_delta", "partial_json": "{}"},
    },
    {"type": "content_block_stop", "index": 3},
    {
        "type": "message_delta",
        "delta": {"stop_reason": "tool_use", "stop_sequence": None},
        "usage": {"output_tokens": 5},
    },
    {"type": "message_stop"},
]

RESPONSES: list[dict[str, Any]] = [
    {
        "type": "response.created",
        "response": {"id": "r", "model": "g", "status": "in_progress", "output": []},
    },
    {
        "type": "response.output_item.added",
        "output_index": 0,
        "item": {"type": "reasoning", "id": "i0", "summary": []},
    },
    {
        "type": "response.reasoning_summary_text.delta",
        "item_id": "i0",
        "output_index": 0,
        "summary_index": 0,
        "delta": "hm",
    },
    {
        "type": "response.reasoning_summary_part.done",
        "item_id": "i0",
        "output_index": 0,
        "summary_index": 0,
        "part": {"type": "summary_text", "text": "hm"},
    },
    {
        "type": "response.output_item.done",
        "output_index": 0,
        "item": {
            "type": "reasoning",
            "id": "i0",
            "summary": [{"type": "summary_text", "text": "hm"}],
        },
    },
    {
        "type": "response.output_item.added",
        "output_index": 1,
        "item": {"type": "message", "id": "i1", "role": "assistant", "content": []},
    },
    {
        "type": "response.content_part.added",
        "item_id": "i1",
        "output_index": 1,
        "content_index": 0,
        "part": {"type": "output_text", "text": ""},
    },
    {
        "type": "response.output_text.delta",
        "item_id": "i1",
        "output_index": 1,
        "content_index": 0,
        "delta": "hi",
    },
    {
        "type": "response.output_text.annotation.added",
        "item_id": "i1",
        "output_index": 1,
        "content_index": 0,
        "annotation": {"type": "url", "text": "t"},
    },
    {
        "type": "response.output_text.done",
        "item_id": "i1",
        "output_index": 1,
        "content_index": 0,
        "text": "hi",
    },
    {
        "type": "response.content_part.done",
        "item_id": "i1",
        "output_index": 1,
        "content_index": 0,
        "part": {"type": "output_text", "text": "hi"},
    },
    {
        "type": "response.output_item.done",
        "output_index": 1,
        "item": {
            "type": "message",
            "id": "i1",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "hi", "annotations": []}],
        },
    },
    {
        "type": "response.output_item.added",
        "output_index": 2,
        "item": {"type": "function_call", "id": "i2", "call_id": "c", "name": "f", "arguments": ""},
    },
    {
        "type": "response.function_call_arguments.delta",
        "item_id": "i2",
        "output_index": 2,
        "delta": "{}",
    },
    {
        "type": "response.function_call_arguments.done",
        "item_id": "i2",
        "output_index": 2,
        "arguments": "{}",
    },
    {
        "type": "response.output_item.done",
        "output_index": 2,
        "item": {
            "type": "function_call",
            "id": "i2",
            "call_id": "c",
            "name": "f",
            "arguments": "{}",
        },
    },
    {
        "type": "response.output_item.done",
        "output_index": 3,
        "item": {
            "type": "code_interpreter_call",
            "id": "i3",
            "code": "c",
            "outputs": [{"type": "logs", "text": "x"}],
        },
    },
    {
        "type": "response.completed",
        "response": {
            "id": "r",
            "model": "g",
            "status": "completed",
            "output": [
                {
                    "type": "message",
                    "id": "i1",
                    "role": "assistant",
                    "content": [{"type": "output_text", "text": "hi", "annotations": []}],
                }
            ],
            "incomplete_details": None,
            "usage": {
                "input_tokens": 1,
                "output_tokens": 2,
                "output_tokens_details": {"reasoning_tokens": 1},
            },
        },
    },
]

GEMINI: list[dict[str, Any]] = [
    {
        "candidates": [
            {"content": {"role": "model", "parts": [{"text": "hm", "thought": True}]}, "index": 0}
        ],
        "usageMetadata": {"promptTokenCount": 1, "totalTokenCount": 1},
        "modelVersion": "g",
        "responseId": "r",
    },
    {
        "candidates": [
            {
                "content": {"parts": [{"text": "hi", "thoughtSignature": "zz"}]},
                "index": 0,
                "groundingMetadata": {"groundingSupports": [{"segment": {"text": "hi"}}]},
            }
        ]
    },
    {
        "candidates": [
            {
                "content": {"parts": [{"executableCode": {"code": "x", "text": "t"}}]},
                "index": 0,
                "citationMetadata": {"citations": [{"text": "t"}]},
            }
        ]
    },
    {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {
                            "functionCall": {"name": "f", "id": "q", "args": {"text": "a"}},
                            "thoughtSignature": "s",
                        }
                    ]
                },
                "index": 0,
            }
        ]
    },
    {
        "candidates": [
            {
                "content": {"parts": [{"functionCall": {"name": "g", "willContinue": True}}]},
                "index": 0,
            }
        ]
    },
    {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {
                            "functionCall": {
                                "partialArgs": [
                                    {"jsonPath": "$.a", "stringValue": "x", "willContinue": True}
                                ],
                                "willContinue": True,
                            }
                        }
                    ]
                },
                "index": 0,
            }
        ]
    },
    {
        "candidates": [
            {
                "content": {
                    "parts": [
                        {
                            "functionCall": {
                                "partialArgs": [{"jsonPath": "$.b[1]", "numberValue": 3}]
                            }
                        }
                    ]
                },
                "index": 0,
            }
        ]
    },
    {"promptFeedback": {"safetyRatings": [{"text": "a"}]}},
    {
        "candidates": [{"content": {"parts": []}, "finishReason": "STOP", "index": 0}],
        "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2, "totalTokenCount": 3},
    },
]
