-- KEYS[1] claim  ARGV own value, pending ms  ->  the value found, nil when there was none
local found = redis.call('SET', KEYS[1], ARGV[1], 'NX', 'GET', 'PX', ARGV[2])
if found == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return found
