-- KEYS[1] job  ARGV fence, plan
redis.call('HSET', KEYS[1], 'plan', ARGV[2])
return 1
