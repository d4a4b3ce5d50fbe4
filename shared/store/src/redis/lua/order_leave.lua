-- KEYS[1] order  ARGV message key, begun ms ago, keep ms, how many at most
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[3]))
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) < tonumber(ARGV[4]) then
  local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
  -- Scores rise from one to the next, so that they keep the order also within a millisecond and when the clock is set back.
  local begun = math.max(now - ARGV[2], tonumber(last or 0) + 1)
  redis.call('ZADD', KEYS[1], string.format('%.0f', begun), ARGV[1])
end
redis.call('PEXPIRE', KEYS[1], ARGV[3])
