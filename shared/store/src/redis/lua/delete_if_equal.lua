-- KEYS[1] any string  ARGV the value it must still have
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('DEL', KEYS[1])
end
return 0
