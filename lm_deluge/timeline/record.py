"""The log record, for whoever writes lines of a timeline log.

See ``lm_deluge.logs.record`` (a line from its values) and ``lm_deluge.logs.stream_lines`` (the lines
that tell of a whole stream, from the ``Stream``: ``start_line_of`` and its like).
"""

from lm_deluge.logs.passed_lines import (
    NoteLine,
    PassedLine,
    SeenLine,
    note_line_of,
    request_line_of,
    seen_line_of,
)
from lm_deluge.logs.record import (
    SCHEMA_VERSION,
    CompleteLine,
    DeltaLine,
    ErrorLine,
    Line,
    PieceEvent,
    PieceLine,
    RetryLine,
    StartLine,
    ToolCallLine,
    complete_line,
    delta_line,
    encode,
    encode_lines,
    error_line,
    piece_line,
    read_start_line,
    retry_line,
    start_line,
    token_line,
    tool_call_line,
    without_credentials,
)
from lm_deluge.logs.stream_lines import (
    complete_line_of,
    error_line_of,
    retry_line_of,
    start_line_of,
)

__all__ = [
    "SCHEMA_VERSION",
    "CompleteLine",
    "DeltaLine",
    "ErrorLine",
    "Line",
    "NoteLine",
    "PassedLine",
    "PieceEvent",
    "PieceLine",
    "RetryLine",
    "SeenLine",
    "StartLine",
    "ToolCallLine",
    "complete_line",
    "complete_line_of",
    "delta_line",
    "encode",
    "encode_lines",
    "error_line",
    "error_line_of",
    "note_line_of",
    "piece_line",
    "read_start_line",
    "request_line_of",
    "retry_line",
    "retry_line_of",
    "seen_line_of",
    "start_line",
    "start_line_of",
    "token_line",
    "tool_call_line",
    "without_credentials",
]
