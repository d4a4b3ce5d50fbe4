-- KEYS[1] job  ARGV fence, step
if redis.call('HGET', KEYS[1], 'sending') == ARGV[2] then
  redis.call('HDEL', KEYS[1], 'sending')
end
return 1
