-- KEYS[1] job  ARGV fence, step
-- `next` never goes back, for the same reason as in job_begin.lua.
local step = tonumber(ARGV[2])
if step >= next_step then
  redis.call('HSET', KEYS[1], 'next', step + 1)
end
if sending and sending <= step then
  redis.call('HDEL', KEYS[1], 'sending')
end
return 1
