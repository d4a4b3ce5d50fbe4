-- KEYS[1] job  ARGV fence, step
-- `next` never goes back, for the same reason as in job_begin.lua.
local step = tonumber(ARGV[2])
if step >= tonumber(redis.call('HGET', KEYS[1], 'next')) then
  redis.call('HSET', KEYS[1], 'next', step + 1)
end
local sending = redis.call('HGET', KEYS[1], 'sending')
if sending and tonumber(sending) <= step then
  redis.call('HDEL', KEYS[1], 'sending')
end
return 1
