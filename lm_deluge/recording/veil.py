"""Secrets taken out of the bytes of an answer, also where a network read ends in the middle of one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

__all__ = ["REDACTED", "Veil"]

REDACTED: Final = b"[redacted]"


class Veil:
    """One attempt's reads on their way into a file.

    A read that ends with what may be the beginning of a secret is held back until the next one tells:
    at most as many bytes as the longest secret has. Every read stays a read: a secret that was cut is
    replaced in the first of the reads that held it and missing from the others.
    """

    def __init__(self, secrets: Iterable[str]) -> None:
        # The longest first, so that none is cut by a shorter one in it.
        self._secrets = sorted((secret.encode() for secret in secrets if secret), key=len)[::-1]
        self._beginnings = tuple(
            secret[:length] for secret in self._secrets for length in range(1, len(secret))
        )
        self._held: list[tuple[int, bytes]] = []

    def feed(self, number: int, data: bytes) -> list[tuple[int, bytes]]:
        """Take a read with its number; return those that may be written now, in order."""
        if not (
            self._held
            or data.endswith(self._beginnings)
            or any(secret in data for secret in self._secrets)
        ):
            return [(number, data)]
        self._held.append((number, data))
        joined = b"".join(held for _, held in self._held)
        found = self._find(joined)
        if found:
            self._held = list(_without(self._held, found))
            joined = b"".join(held for _, held in self._held)
        pending = self._pending(joined)
        free, end = 0, 0
        for _, held in self._held:
            end += len(held)
            if end > len(joined) - pending:
                break
            free += 1
        passed, self._held = self._held[:free], self._held[free:]
        return passed

    def close(self) -> list[tuple[int, bytes]]:
        """Return what was held back: nothing follows that could make a secret of it."""
        passed, self._held = self._held, []
        return passed

    def _find(self, data: bytes) -> list[tuple[int, int]]:
        """Return where the secrets are, in order, none in another."""
        found: list[tuple[int, int]] = []
        for secret in self._secrets:
            at = data.find(secret)
            while at >= 0:
                end = at + len(secret)
                if all(end <= begun or at >= ended for begun, ended in found):
                    found.append((at, end))
                at = data.find(secret, at + 1)
        return sorted(found)

    def _pending(self, data: bytes) -> int:
        """Return how many bytes at the end may be the beginning of a secret."""
        return max((len(part) for part in self._beginnings if data.endswith(part)), default=0)


def _without(
    reads: list[tuple[int, bytes]], found: list[tuple[int, int]]
) -> Iterable[tuple[int, bytes]]:
    begin = 0
    for number, data in reads:
        end = begin + len(data)
        kept, at = b"", begin
        for first, last in found:
            if last <= begin or first >= end:
                continue
            kept += data[at - begin : max(first, at) - begin]
            if first >= begin:
                kept += REDACTED
            at = min(last, end)
        yield number, kept + data[at - begin :]
        begin = end
