"""What follows when a wait for the answer came to something: one table.

The columns are what the answer is by then, the rows what happened: a network read that
brought pieces or none, the end of the body, a lost connection, a limit that passed, or that nobody reads on
(the reader that a proxy passes it on to has left). A cell is what is waited for next (a phase), or how the
reading ends.

================ ======= ======= ========== ============== =======
\\                faulty  done    finished   doubtful       open
================ ======= ======= ========== ============== =======
pieces           fault   whole   tail       silence        between_tokens
nothing          fault   whole   tail       silence        as before
end              fault   whole   whole      whole          cut
lost             fault   whole   whole      lost           lost
limit            fault   whole   whole      whole          timeout
total            fault   whole   whole      timeout        timeout
left             fault   whole   whole      whole          left
================ ======= ======= ========== ============== =======

A clean end makes an ``open`` answer whole, too, where ``accept_eof`` takes it for one; a lost connection
is no such end. No I/O.
"""

from __future__ import annotations

from typing import Final, Literal, TypeAlias

from lm_deluge.dialects.dialect import AnswerReader

__all__ = ["AFTER", "Condition", "Happening", "Then", "after", "phase_of"]

Condition: TypeAlias = Literal["faulty", "done", "finished", "doubtful", "open"]
"""``faulty``: it cannot become whole. ``done``: the server said that it is over. ``finished``: nothing
of it is missing, though more may be said. ``doubtful``: it looks ended and that cannot be trusted.
``open``: none of these."""

Happening: TypeAlias = Literal["pieces", "nothing", "end", "lost", "limit", "total", "left"]

Then: TypeAlias = Literal[
    "between_tokens",
    "silence",
    "tail",
    "as before",
    "whole",
    "fault",
    "cut",
    "lost",
    "timeout",
    "left",
]

AFTER: Final[dict[Happening, dict[Condition, Then]]] = {
    "pieces": {
        "faulty": "fault",
        "done": "whole",
        "finished": "tail",
        "doubtful": "silence",
        "open": "between_tokens",
    },
    "nothing": {
        "faulty": "fault",
        "done": "whole",
        "finished": "tail",
        "doubtful": "silence",
        "open": "as before",
    },
    "end": {
        "faulty": "fault",
        "done": "whole",
        "finished": "whole",
        "doubtful": "whole",
        "open": "cut",
    },
    "lost": {
        "faulty": "fault",
        "done": "whole",
        "finished": "whole",
        "doubtful": "lost",
        "open": "lost",
    },
    "limit": {
        "faulty": "fault",
        "done": "whole",
        "finished": "whole",
        "doubtful": "whole",
        "open": "timeout",
    },
    "total": {
        "faulty": "fault",
        "done": "whole",
        "finished": "whole",
        "doubtful": "timeout",
        "open": "timeout",
    },
    "left": {
        "faulty": "fault",
        "done": "whole",
        "finished": "whole",
        "doubtful": "whole",
        "open": "left",
    },
}


def after(happening: Happening, answer: AnswerReader) -> Then:
    """Return what follows."""
    row = AFTER[happening]
    if answer.error is not None:
        return row["faulty"]
    if answer.done:
        return row["done"]
    if answer.finished:
        return row["finished"]
    if answer.may_be_over:
        return row["doubtful"]
    then = row["open"]
    return "whole" if then == "cut" and answer.whole else then


def phase_of(answer: AnswerReader, *, has_head: bool) -> str:
    """Return what is waited for, by the names of ``Timeouts``. ``has_head``: the response's head is there."""
    if answer.finished:
        return "tail"
    if answer.has_output:
        return "between_tokens"
    return "first_token" if has_head else "connect"
