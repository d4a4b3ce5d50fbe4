-- KEYS[1] window  ARGV message's and entering's push that the sender had seen ('' for none), what is counted, keep ms
local known = redis.call('HMGET', KEYS[1], 'm_by', 'e_by', 'counted')
if not (known[1] or known[2]) or known[3] == ARGV[3] then
  return 0
end
for number, prefix in ipairs({ 'm_', 'e_' }) do
  if ARGV[number] ~= '' and known[number] == ARGV[number] then
    redis.call('HINCRBY', KEYS[1], prefix .. 'sent', 1)
  end
end
redis.call('HSET', KEYS[1], 'counted', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
