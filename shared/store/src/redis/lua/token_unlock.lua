-- KEYS[1] token  ARGV owner
if redis.call('HGET', KEYS[1], 'lock_owner') == ARGV[1] then
  redis.call('HDEL', KEYS[1], 'lock_owner', 'lock_until')
end
return 1
