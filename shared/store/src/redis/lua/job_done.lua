-- KEYS[1] job  ARGV fence, the next step (0 when no step was sent with this), keep ms
-- Not behind job_guard.lua: the fence that ended the job may say so again, when it did not hear the first answer.
local job = redis.call('HMGET', KEYS[1], 'fence', 'next')
if job[1] ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'state', 'done', 'next', math.max(job[2] or 0, ARGV[2]))
redis.call('HDEL', KEYS[1], 'owner', 'until', 'sending', 'plan')
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
