"""A server of four dialects on loopback, for tests and demos, with faults on demand.

It imports nothing from the rest of lm_deluge but the reader of recordings. The faults are listed in
`lm_deluge.simulator.faults`.
"""

from lm_deluge.simulator.faults.table import Fault
from lm_deluge.simulator.saying.pace import Gap
from lm_deluge.simulator.saying.steps import (
    ABORT,
    EOF,
    HALF_CLOSE,
    HANG,
    RESET,
    Act,
    Overhead,
    Paced,
    Reply,
    Step,
    Verbatim,
)
from lm_deluge.simulator.server import Simulator
from lm_deluge.simulator.serving.received import ReceivedRequest

__all__ = [
    "ABORT",
    "EOF",
    "HALF_CLOSE",
    "HANG",
    "RESET",
    "Act",
    "Fault",
    "Gap",
    "Overhead",
    "Paced",
    "ReceivedRequest",
    "Reply",
    "Simulator",
    "Step",
    "Verbatim",
]
