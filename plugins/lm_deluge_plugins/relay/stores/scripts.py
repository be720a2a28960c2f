"""What Redis does in one step, so that no two processes disagree about a log.

A log is a Redis stream whose entry ids are the frames' numbers (``7-0``). Fields: ``f`` the frame's data,
``e`` for the ending, ``d`` for an ending that another process wrote because the producer was gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha1
from typing import Any, Final, TypeAlias

__all__ = ["ALIVE", "APPEND", "BURY", "CLAIM", "Call", "Scripts"]

#: Keys and arguments of one run of a script.
Call: TypeAlias = tuple[Sequence[str], Sequence[str | int | bytes]]

_TOP: Final = """
local last, ended, dead = 0, 0, 0
local top = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if #top > 0 then
  last = tonumber(string.match(top[1][1], '^%d+'))
  for i = 1, #top[1][2], 2 do
    if top[1][2][i] == 'e' then ended = 1 end
    if top[1][2][i] == 'd' then dead = 1 end
  end
end
"""

#: KEYS: log, alive, readers. ARGV: first number, ms to keep, ms to live, channel, whether the last frame is
#: the ending, frames. Returns {whether they were added, the newest number, whether it was buried}.
APPEND: Final = (
    _TOP
    + """
local first = tonumber(ARGV[1])
if last ~= first - 1 or ended == 1 then return {0, last, dead} end
for i = 6, #ARGV do
  local id = string.format('%d-0', first + i - 6)
  if i == #ARGV and ARGV[5] == '1' then redis.call('XADD', KEYS[1], id, 'f', ARGV[i], 'e', '1')
  else redis.call('XADD', KEYS[1], id, 'f', ARGV[i]) end
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if ARGV[5] == '1' then redis.call('DEL', KEYS[2], KEYS[3])
else redis.call('SET', KEYS[2], '1', 'PX', ARGV[3]) end
redis.call('PUBLISH', ARGV[4], ARGV[1] .. ' ' .. ARGV[5] .. '\\n' .. table.concat(ARGV, '\\n', 6))
return {1, first + #ARGV - 6, 0}
"""
)

#: KEYS: log, alive, readers. ARGV: ms to keep, ms to live, now in ms. Says that the producer lives.
#: Returns {whether it was buried, how many processes read it}.
ALIVE: Final = (
    _TOP
    + """
local readers = redis.call('ZCOUNT', KEYS[3], ARGV[3], '+inf')
if dead == 1 then return {1, readers} end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return {0, readers}
"""
)

#: KEYS: log, alive. ARGV: ms to keep, channel, the newest number known, the ending's data. Ends the log of
#: a producer that is gone. Returns the newest number, -1 where frames are missing that were there.
BURY: Final = (
    _TOP
    + """
if last < tonumber(ARGV[3]) then return -1 end
if ended == 1 or redis.call('EXISTS', KEYS[2]) == 1 then return last end
redis.call('XADD', KEYS[1], string.format('%d-0', last + 1), 'f', ARGV[4], 'e', '1', 'd', '1')
redis.call('PEXPIRE', KEYS[1], ARGV[1])
redis.call('PUBLISH', ARGV[2], string.format('%d', last + 1) .. ' 1\\n' .. ARGV[4])
return last + 1
"""
)


#: KEYS: seen. ARGV: reader, stream, first piece, last, most readers, most runs, ms to keep. What
#: ``seen.claims`` does, for all processes. Returns the reader's number, -1 where the pieces are not to be
#: written.
CLAIM: Final = """
local reader, first, last = 'r:' .. ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local number = redis.call('HGET', KEYS[1], reader)
local readers = tonumber(redis.call('HGET', KEYS[1], 'readers') or '0')
if not number and readers >= tonumber(ARGV[5]) then return -1 end
local place = 'p:' .. ARGV[2] .. ':' .. ARGV[1]
local runs, count, tail = redis.call('HGET', KEYS[1], place) or '', 0, nil
for start, stop in string.gmatch(runs, '(%d+)-(%d+)') do
  count, tail = count + 1, tonumber(stop)
  if first <= tail and tonumber(start) <= last then return -1 end
end
if count >= tonumber(ARGV[6]) then return -1 end
if tail and tail + 1 == first then runs = string.gsub(runs, '%d+$', ARGV[4])
elseif count > 0 then runs = runs .. ',' .. ARGV[3] .. '-' .. ARGV[4]
else runs = ARGV[3] .. '-' .. ARGV[4] end
redis.call('HSET', KEYS[1], place, runs)
if not number then
  number = readers
  redis.call('HSET', KEYS[1], reader, number, 'readers', number + 1)
end
redis.call('PEXPIRE', KEYS[1], ARGV[7])
return tonumber(number)
"""


class Scripts:
    """Runs scripts by their hash, many in one round trip; loads them where Redis does not know them."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis

    async def run(self, script: str, calls: Iterable[Call]) -> list[Any]:
        """Run a script for each call; return the replies, or raise the first error among them."""
        from redis.exceptions import NoScriptError

        calls = list(calls)
        replies = await self._run(script, calls)
        if any(isinstance(reply, NoScriptError) for reply in replies):
            await self._redis.script_load(script)
            replies = await self._run(script, calls)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    async def _run(self, script: str, calls: Sequence[Call]) -> list[Any]:
        digest = sha1(script.encode(), usedforsecurity=False).hexdigest()
        pipe = self._redis.pipeline(transaction=False)
        for keys, values in calls:
            pipe.evalsha(digest, len(keys), *keys, *values)
        return list(await pipe.execute(raise_on_error=False))
