-- KEYS[1] job  ARGV fence, lease ms
redis.call('HSET', KEYS[1], 'until', now + ARGV[2])
return 1
