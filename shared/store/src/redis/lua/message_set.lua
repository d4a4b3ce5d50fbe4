-- KEYS[1] message  ARGV status, state, keep ms
local rank = { queued = 1, dead = 2, sent = 3 }
local known = rank[redis.call('HGET', KEYS[1], 'status')] or 0
if rank[ARGV[1]] > known or (ARGV[1] == 'dead' and known == rank.dead) then
  redis.call('HSET', KEYS[1], 'status', ARGV[1], 'state', ARGV[2])
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
end
