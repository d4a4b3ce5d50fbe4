-- KEYS[1] window  ARGV message's and entering's push that the sender had seen ('' for none), refused, now, keep ms
local message = redis.call('HGET', KEYS[1], 'm_by')
if not message and ARGV[1] == '' then
  redis.call('HSET', KEYS[1], 'm_at', ARGV[4], 'm_by', '', 'm_sent', 0, 'm_refused', ARGV[3])
elseif message == ARGV[1] then
  redis.call('HSET', KEYS[1], 'm_refused', ARGV[3])
end
if redis.call('HGET', KEYS[1], 'e_by') == ARGV[2] then
  redis.call('HSET', KEYS[1], 'e_refused', ARGV[3])
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return 1
