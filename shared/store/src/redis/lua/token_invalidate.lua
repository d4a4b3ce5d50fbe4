-- KEYS[1] token  ARGV the value that failed
if redis.call('HGET', KEYS[1], 'value') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'value', 'expires_at')
end
return 1
