"""Text at many places of a buffer at once: compared, and read as numbers, in words of 8 bytes."""

from __future__ import annotations

from lm_deluge.timeline.measures.numeric import Counts, Flags, Floats, Words, np

__all__ = ["PAD", "Text"]

PAD = 16
"""Bytes before and after the text that can be looked at: as many as a number has at most."""

_ALL = (1 << 64) - 1
_ZEROS = np.uint64(0x3030303030303030)
_TENS = 10.0 ** np.arange(23)
_WHOLE_TENS = np.array([10**n for n in range(9)], np.uint64)

#: By a count n: the mask of the last n of 8 bytes in order of reading, and zeros as text before them.
_LAST = np.array([0] + [_ALL ^ ((1 << 8 * (8 - n)) - 1) for n in range(1, 9)], np.uint64)
_FILL = _ZEROS & ~_LAST

_ONES = np.uint64(0x0101010101010101)
_HIGH = np.uint64(0x8080808080808080)
_POINTS = np.uint64(0x2E2E2E2E2E2E2E2E)
_EIGHT = np.uint64(8)
_TEN = np.uint64(10)
_ABOVE_NINE = np.uint64(0x7676767676767676)
_PAIRS = np.uint64(0x000000FF000000FF)


class Text:
    """A text that can be read anywhere: ``PAD`` bytes of it are before and after its lines.

    Places are byte offsets, int64, one per line looked at. All arrays have one number per place.
    """

    def __init__(self, padded: bytes) -> None:
        self.bytes = np.frombuffer(padded, np.uint8)
        # At every offset the 8 bytes that follow; no copy.
        self._words: Words = np.ndarray((len(padded) - 7,), "<u8", padded, strides=(1,))

    def has(self, places: Counts, text: bytes) -> Flags:
        """Tell where ``text``, of at most 16 bytes, stands."""
        found: Flags = self._masked(places, len(text[:8])) == _word(text[:8])
        if len(text) > 8:
            found &= self._masked(places + 8, len(text) - 8) == _word(text[8:])
        return found

    def _masked(self, places: Counts, n: int) -> Words:
        words: Words = self._words[places]
        return words if n == 8 else words & np.uint64((1 << 8 * n) - 1)

    def codes(self, begin: Counts, length: Counts) -> tuple[Words, int]:
        """Return texts of at most 40 bytes as rows of words, 0 after their end, and the row's length."""
        columns = int(length.max(initial=1) + 7) // 8
        rows = np.empty((len(begin), columns), np.uint64)
        for column in range(columns):
            left = np.clip(length - 8 * column, 0, 8)
            rows[:, column] = self._words[begin + 8 * column] & ~_LAST[8 - left]
        return rows, columns

    def counts(self, begin: Counts, end: Counts) -> tuple[Counts, Flags]:
        """Read whole numbers of 1 to 8 digits; return them, and which are such numbers."""
        n = end - begin
        right = (n >= 1) & (n <= 8)
        right &= (n == 1) | (self.bytes[begin] != 48)
        value, digits = _digits(self._words[end - 8], np.where(right, n, 1))
        return value.astype(np.int64), right & digits

    def seconds(self, begin: Counts, end: Counts) -> tuple[Floats, Flags]:
        """Read numbers such as 0, 12.345678 and 3.5e-5; return them, and which are such numbers.

        At most 8 digits before the point and 7 after it, so that the quotient of two exact numbers
        is the nearest float, as of any reader of JSON (Clinger, PLDI 1990).
        """
        small = self._masked(end - 3, 2) == _word(b"e-")
        if not small.any():
            return self._seconds(begin, end, None)
        small &= end - begin > 3
        exponent = np.where(small, self.bytes[end - 1].astype(np.int64) - 48, 0)
        right = (exponent >= 0) & (exponent <= 9)
        value, right_before = self._seconds(
            begin, np.where(small, end - 3, end), np.where(right, exponent, 0)
        )
        return value, right & right_before

    def _seconds(self, begin: Counts, end: Counts, exponent: Counts | None) -> tuple[Floats, Flags]:
        n = end - begin
        # What stands before the number is made anything but a point.
        word = self._words[end - 8]
        points = (word ^ _POINTS) | ~_LAST[np.minimum(np.maximum(n, 0), 8)]
        point = (points - _ONES) & ~points & _HIGH
        bit = point >> np.uint64(7)
        # The place of the point in the word, by a product that shifts the wanted number to the top.
        decimals = ((bit * np.uint64(0x0706050403020100)) >> np.uint64(56)).astype(np.int64)
        decimals[(bit & (bit - np.uint64(1))) != 0] = 0  # more than one point
        has_point = bit != 0
        # What is before the point moves up to its place.
        below = bit - np.uint64(1)
        joined = ((word & below) << _EIGHT) | (word & ~(below | (bit * np.uint64(255))))
        joined = np.where(has_point, joined, word)
        length = n - has_point
        right = (length >= 1) & (length <= 8)
        right &= (decimals >= 1) | ~has_point
        right &= (length - decimals == 1) | (self.bytes[begin] != 48)
        value, digits = _digits(joined, np.where(right, length, 1))
        # Of what lies partly before the word, the rest is added.
        long = np.flatnonzero((n > 8) & has_point)
        if len(long):
            self._add_whole(long, begin, end, decimals, value, right, digits)
        right &= digits & (length - decimals >= 1)
        shift = decimals if exponent is None else decimals + exponent
        return value / _TENS[np.where(right, shift, 0)], right

    def _add_whole(
        self,
        long: Counts,
        begin: Counts,
        end: Counts,
        decimals: Counts,
        value: Words,
        right: Flags,
        digits: Flags,
    ) -> None:
        point = end[long] - decimals[long] - 1
        n = point - begin[long]
        fits = (n <= 8) & (decimals[long] >= 1)
        fits &= (n == 1) | (self.bytes[begin[long]] != 48)
        whole, first = _digits(self._words[point - 8], np.where(fits, n, 1))
        places = np.where(fits, decimals[long], 0)
        after, second = _digits(self._words[end[long] - 8], places)
        value[long] = whole * _WHOLE_TENS[places] + after
        right[long] = fits
        digits[long] = first & second


def _digits(word: Words, n: Counts) -> tuple[Words, Flags]:
    """Read the last n of 8 digits, 0 <= n <= 8; tell where they are digits."""
    word = ((word & _LAST[n]) | _FILL[n]) - _ZEROS
    bad = ((word + _ABOVE_NINE) | word) & _HIGH
    # Pairs of digits, then fours, then eight: Lemire, "Quickly parsing eight digits", 2018.
    word = word * _TEN + (word >> _EIGHT)
    low = (word & _PAIRS) * np.uint64(0x000F424000000064)
    high = ((word >> np.uint64(16)) & _PAIRS) * np.uint64(0x0000271000000001)
    return (low + high) >> np.uint64(32), bad == 0


def _word(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text, "little"))
