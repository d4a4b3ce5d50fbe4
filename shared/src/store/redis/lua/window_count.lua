-- KEYS[1] window  ARGV message's and entering's push that the sender had seen ('' for none), what is counted, keep ms
if redis.call('EXISTS', KEYS[1]) == 0 or redis.call('HGET', KEYS[1], 'counted') == ARGV[3] then
  return 0
end
for number, prefix in ipairs({ 'm_', 'e_' }) do
  if ARGV[number] ~= '' and redis.call('HGET', KEYS[1], prefix .. 'by') == ARGV[number] then
    redis.call('HINCRBY', KEYS[1], prefix .. 'sent', 1)
  end
end
redis.call('HSET', KEYS[1], 'counted', ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
