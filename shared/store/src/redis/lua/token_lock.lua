-- KEYS[1] token  ARGV owner, lock ms  ->  fence; nil when another owner has the lock
local lock = redis.call('HMGET', KEYS[1], 'lock_owner', 'lock_until', 'fence')
if lock[1] and lock[1] ~= ARGV[1] and tonumber(lock[2]) > now then
  return false
end
local fence = fence_after(lock[3])
redis.call('HSET', KEYS[1], 'lock_owner', ARGV[1], 'lock_until', now + ARGV[2], 'fence', fence)
keep(ARGV[2])
return fence
