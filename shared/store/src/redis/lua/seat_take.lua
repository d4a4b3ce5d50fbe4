-- KEYS[1] seats  ARGV worker, keep ms, the seat it wishes for  ->  its seat
local entries = redis.call('HGETALL', KEYS[1])
local own
local taken = {}
for index = 1, #entries, 2 do
  local seat, ends = string.match(entries[index + 1], '^(%d+) (%d+)$')
  if entries[index] == ARGV[1] then
    own = seat
  elseif not ends or tonumber(ends) <= now then
    redis.call('HDEL', KEYS[1], entries[index])
  else
    taken[tonumber(seat)] = true
  end
end
local seat = tonumber(own or ARGV[3])
while taken[seat] do
  seat = seat + 1
end
redis.call('HSET', KEYS[1], ARGV[1], seat .. ' ' .. string.format('%.0f', now + ARGV[2]))
if redis.call('PTTL', KEYS[1]) < tonumber(ARGV[2]) then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return seat
