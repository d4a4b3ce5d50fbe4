-- KEYS[1] message  ARGV fingerprint, keep ms  ->  the fingerprint and the state found
local found = redis.call('HMGET', KEYS[1], 'fingerprint', 'state')
if not found[1] then
  redis.call('HSET', KEYS[1], 'fingerprint', ARGV[1])
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return found
