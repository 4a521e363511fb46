-- Counts one request against every limit, or against none.
-- KEYS: a list per limit: the times of the requests it has allowed, in microseconds, oldest first.
-- ARGV: for each of them the limit and its window in microseconds.
-- Gives 1 or 0, then for each limit what remains and in how many microseconds more does.
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
-- Lua writes large numbers as 1.7e+15 by itself.
local stamp = string.format('%.0f', now)
local logs, allowed = {}, 1

for i, key in ipairs(KEYS) do
  local log = { limit = tonumber(ARGV[2 * i - 1]), window = tonumber(ARGV[2 * i]) }
  local first = tonumber(redis.call('LINDEX', key, 0))
  while first and first + log.window <= now do
    -- A hundred at a time: after a quiet spell a whole log may have to go.
    local gone = 0
    for _, time in ipairs(redis.call('LRANGE', key, 0, 99)) do
      if time + log.window > now then break end
      gone = gone + 1
    end
    redis.call('LTRIM', key, gone, -1)
    first = tonumber(redis.call('LINDEX', key, 0))
  end
  log.first, log.count = first, redis.call('LLEN', key)
  if log.count >= log.limit then allowed = 0 end
  logs[i] = log
end

local reply = { allowed }
for i, key in ipairs(KEYS) do
  local log = logs[i]
  local leaves = log.first
  if allowed == 1 then
    redis.call('RPUSH', key, stamp)
    -- Rounded up: the last time must not go before it has left the window.
    redis.call('PEXPIRE', key, math.ceil(log.window / 1000) + 1)
    log.count = log.count + 1
    leaves = leaves or now
  elseif log.count > log.limit then
    -- They were allowed under a higher limit.
    leaves = tonumber(redis.call('LINDEX', key, log.count - log.limit))
  end
  reply[2 * i] = math.max(log.limit - log.count, 0)
  reply[2 * i + 1] = leaves and leaves + log.window - now or 0
end
return reply
