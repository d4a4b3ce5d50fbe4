-- KEYS[1] window  ARGV message's and entering's push that the sender had seen ('' for none), refused, keep ms
for number, prefix in ipairs({ 'm_', 'e_' }) do
  if ARGV[number] ~= '' and redis.call('HGET', KEYS[1], prefix .. 'by') == ARGV[number] then
    redis.call('HSET', KEYS[1], prefix .. 'refused', ARGV[3])
  end
end
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
