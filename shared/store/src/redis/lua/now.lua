-- The store's own clock: `now_us` and `now`, the latter in milliseconds.
local time = redis.call('TIME')
local now_us = time[1] * 1000000 + time[2]
local now = math.floor(now_us / 1000)

-- A fence above `last`. Starting from the clock keeps it growing even when the entry was lost or has expired.
local function fence_after(last)
  return string.format('%.0f', math.max(tonumber(last or 0) + 1, now_us))
end
