"""Recordings: the raw bytes of streams, with the moment and the cut of every network read.

``LLMClient(record="run.rec")`` makes one, ``Simulator(replay="run.rec")`` plays it to any client,
``read_recording`` reads it, and ``lm-deluge report`` takes it for the timeline log that it is, too.
The format is in ``lm_deluge.recording.format`` and docs/recording.md.
"""

from lm_deluge.recording.format import request_hash
from lm_deluge.recording.reader import Exchange, Read, Recording, read_recording
from lm_deluge.recording.writer import Recorder

__all__ = ["Exchange", "Read", "Recorder", "Recording", "read_recording", "request_hash"]
