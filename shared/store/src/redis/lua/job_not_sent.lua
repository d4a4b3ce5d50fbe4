-- KEYS[1] job  ARGV fence, step
if sending == tonumber(ARGV[2]) then
  redis.call('HDEL', KEYS[1], 'sending')
end
return 1
