-- Ends the script with 0 unless fence ARGV[1] is the latest of an open job.
local guard = redis.call('HMGET', KEYS[1], 'fence', 'state')
if guard[1] ~= ARGV[1] or guard[2] ~= 'open' then
  return 0
end
