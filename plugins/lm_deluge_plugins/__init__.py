"""Handlers that come with lm_deluge. They use its public names only."""

from lm_deluge_plugins.chunk_collector import ChunkCollector
from lm_deluge_plugins.file_logger import FileLogger
from lm_deluge_plugins.rich_printer import RichPrinter
from lm_deluge_plugins.smooth import Smooth
from lm_deluge_plugins.stdout_printer import StdoutPrinter

__all__ = ["ChunkCollector", "FileLogger", "RichPrinter", "Smooth", "StdoutPrinter"]
