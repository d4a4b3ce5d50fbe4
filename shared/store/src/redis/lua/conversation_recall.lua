-- KEYS[1] conversation  ->  the exchanges that have not ended
local living = {}
for _, entry in ipairs(redis.call('LRANGE', KEYS[1], 0, -1)) do
  local ends, exchange = string.match(entry, '^(%d+) %x+ (.*)$')
  if tonumber(ends) > now then
    living[#living + 1] = exchange
  end
end
return living
