-- KEYS[1] window  ARGV until when messages make nothing known, keep ms
local known = redis.call('HGET', KEYS[1], 'unknown_until')
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'unknown_until', string.format('%.0f', math.max(known or 0, ARGV[1])))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1
