-- KEYS[1] token  ARGV fence, value, ms to live
-- `stored_fence` outlives an invalidated value: what is older than that value stays out.
if tonumber(redis.call('HGET', KEYS[1], 'stored_fence') or 0) > tonumber(ARGV[1]) then
  return 0
end
redis.call('HSET', KEYS[1], 'value', ARGV[2], 'expires_at', now + ARGV[3], 'stored_fence', ARGV[1])
keep(ARGV[3])
return 1
