-- KEYS[1] window  ARGV prefix, at, by, how far clocks may differ, keep ms
do
  local at, by = ARGV[1] .. 'at', ARGV[1] .. 'by'
  local known = redis.call('HMGET', KEYS[1], at, by, 'unknown_until')
  local is_unknown = ARGV[1] == 'm_' and tonumber(ARGV[2]) < tonumber(known[3] or 0)
  local is_newer = not known[1] or (known[2] ~= ARGV[3] and ARGV[2] + ARGV[4] > tonumber(known[1]))
  if is_newer and not is_unknown then
    redis.call('HSET', KEYS[1], at, string.format('%.0f', math.max(known[1] or 0, ARGV[2])), by, ARGV[3])
    redis.call('HSET', KEYS[1], ARGV[1] .. 'sent', 0)
    redis.call('HDEL', KEYS[1], ARGV[1] .. 'refused')
  end
  redis.call('PEXPIRE', KEYS[1], ARGV[5])
end
