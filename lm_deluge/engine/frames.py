"""What an exception keeps alive, and how to let go of it."""

from __future__ import annotations

import gc
import traceback
from types import FrameType
from typing import Final

__all__ = ["clear_frames"]

# The method that a stream's task begins with.
_BEGINNING: Final = "_run"


def clear_frames(error: BaseException, owner: object) -> None:
    """Drop the locals of every frame along an exception's chain: they hold the stream and its key.

    ``owner``: whose method the task began with, which is done. Line numbers stay.
    """
    seen: set[int] = set()
    queue: list[BaseException | None] = [error]
    while queue:
        link = queue.pop()
        if link is None or id(link) in seen:
            continue
        seen.add(id(link))
        trace = link.__traceback__
        if trace is not None:
            _clear_callers(trace.tb_frame, owner)
            traceback.clear_frames(trace)
        queue += [link.__cause__, link.__context__]


def _clear_callers(frame: FrameType, owner: object) -> None:
    """Clear ``frame`` and those that it was called by, up to the owner's, which need not be in a traceback.

    From Python 3.12 on a frame that outlives its call keeps its caller's. Frames that are not below the
    owner's may be another task's and only suspended: to clear those would close their coroutines.
    """
    callers: list[FrameType] = []
    caller: FrameType | None = frame
    while caller is not None:
        callers.append(caller)
        # Not by its f_locals: Python 3.12 would keep that copy.
        if caller.f_code.co_name == _BEGINNING and any(
            one is owner for one in gc.get_referents(caller)
        ):
            for one in callers:
                one.clear()
            return
        caller = caller.f_back
