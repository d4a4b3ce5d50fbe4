-- KEYS[1] conversation  ARGV the message key's digest, exchange, how many to keep, keep ms
for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local ends, message = string.match(entry, '^(%d+) (%x+) ')
  if message == ARGV[1] and tonumber(ends) > now then
    return 0
  end
  if tonumber(ends) <= now then
    redis.call('LREM', KEYS[1], 1, entry)
  end
end
redis.call('RPUSH', KEYS[1], string.format('%.0f', now + ARGV[4]) .. ' ' .. ARGV[1] .. ' ' .. ARGV[2])
redis.call('LTRIM', KEYS[1], -tonumber(ARGV[3]), -1)
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[4]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[4])
end
return 1
