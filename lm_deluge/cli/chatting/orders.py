"""What a line that begins with a slash orders. Pure."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["ORDERS", "Order", "help_text", "order_of"]

#: Each order, what it takes, and what it does.
ORDERS: Final[dict[str, tuple[str, str]]] = {
    "/add": ("FILE", "send a text file or an image along with the next message"),
    "/model": ("[NAME]", "ask another model from here on; without NAME, say which is asked"),
    "/system": ("[TEXT]", "change the system message; without TEXT, show it"),
    "/retry": ("", "ask the last message again"),
    "/save": ("FILE", "write the conversation to a new file: .json as it is, else Markdown"),
    "/new": ("", "begin another conversation"),
    "/help": ("", "show this"),
    "/quit": ("", "leave; so do quit, exit and Ctrl-D"),
}


class Order(NamedTuple):
    """An order, and the text after it. ``name`` is empty where there is none of that name."""

    name: str
    text: str


def order_of(line: str) -> Order | None:
    """Return what a line orders; ``None`` for a message. ``//`` begins a message with a slash."""
    if line.lower() in ("quit", "exit"):
        return Order("/quit", "")
    if not line.startswith("/") or line.startswith("//"):
        return None
    word, _, text = line.partition(" ")
    if "/" in word[1:]:  # a path is a message
        return None
    name = word.lower() if word.lower() != "/exit" else "/quit"
    return Order(name if name in ORDERS else "", text.strip() if name in ORDERS else word)


def help_text() -> str:
    """Return all orders, one a line."""
    rows = [(f"{name} {takes}".strip(), does) for name, (takes, does) in ORDERS.items()]
    rows.append(('"""', 'begin a message of several lines; """ ends it (or Alt-Enter within one)'))
    width = max(len(left) for left, _ in rows)
    return "\n".join(f"  {left.ljust(width)}  {right}" for left, right in rows)
