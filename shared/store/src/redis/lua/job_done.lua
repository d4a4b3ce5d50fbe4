-- KEYS[1] job  ARGV fence, keep ms
-- Not behind job_guard.lua: the fence that ended the job may say so again, when it did not hear the first answer.
if redis.call('HGET', KEYS[1], 'fence') ~= ARGV[1] then
  return 0
end
redis.call('HDEL', KEYS[1], 'owner', 'until', 'sending', 'plan')
redis.call('HSET', KEYS[1], 'state', 'done')
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
