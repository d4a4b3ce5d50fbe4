-- KEYS[1] job  ARGV fence
redis.call('HDEL', KEYS[1], 'owner', 'until')
return 1
