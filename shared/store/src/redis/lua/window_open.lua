-- KEYS[1] window  ARGV prefix, at, by, how far clocks may differ, keep ms  ->  the fields in the order of FIELDS, after that
local known = redis.call('HMGET', KEYS[1], 'm_at', 'm_by', 'm_sent', 'm_refused', 'e_at', 'e_by', 'e_sent', 'e_refused',
  'counted', 'unknown_until')
local prefix, at, by = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local first = prefix == 'm_' and 1 or 5
local known_at = tonumber(known[first])
local is_unknown = prefix == 'm_' and at < tonumber(known[10] or 0)
local is_newer = not known_at or (known[first + 1] ~= by and at + ARGV[4] > known_at)
if is_newer and not is_unknown then
  known[first] = string.format('%.0f', math.max(known_at or 0, at))
  known[first + 1] = by
  known[first + 2] = '0'
  redis.call('HSET', KEYS[1], prefix .. 'at', known[first], prefix .. 'by', by, prefix .. 'sent', 0)
  if known[first + 3] then
    known[first + 3] = false
    redis.call('HDEL', KEYS[1], prefix .. 'refused')
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[5])
return known
