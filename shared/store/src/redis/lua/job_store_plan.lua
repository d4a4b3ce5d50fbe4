-- KEYS[1] job  ARGV fence, plan
if not plan then
  redis.call('HSET', KEYS[1], 'plan', ARGV[2])
end
return 1
