"""The timeline of a stream: its log record, reading logs, metrics, comparison, reports."""
