-- KEYS[1] window  ARGV message's and entering's push that the sender had seen ('' for none), what is counted, keep ms
local known = redis.call('HMGET', KEYS[1], 'm_by', 'e_by', 'counted', 'm_sent', 'e_sent')
if not (known[1] or known[2]) or known[3] == ARGV[3] then
  return 0
end
local changed = { 'counted', ARGV[3] }
for number, field in ipairs({ 'm_sent', 'e_sent' }) do
  if ARGV[number] ~= '' and known[number] == ARGV[number] then
    changed[#changed + 1] = field
    changed[#changed + 1] = (known[3 + number] or 0) + 1
  end
end
redis.call('HSET', KEYS[1], unpack(changed))
redis.call('PEXPIRE', KEYS[1], ARGV[4])
return 1
