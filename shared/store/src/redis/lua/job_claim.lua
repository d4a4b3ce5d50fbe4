-- KEYS[1] job  ARGV owner, lease ms, keep ms  ->  what was found, lease left ms, fence, next, ambiguous, plan
local job = redis.call('HMGET', KEYS[1], 'state', 'fence', 'owner', 'until', 'next', 'sending', 'plan')
if job[1] and job[1] ~= 'open' then
  return { job[1], 0, 0, 0, 0, false }
end
local left = tonumber(job[4] or 0) - now
if job[3] and job[3] ~= ARGV[1] and left > 0 then
  return { 'leased', left, 0, 0, 0, false }
end
local fence = fence_after(job[2])
redis.call('HSET', KEYS[1], 'state', 'open', 'fence', fence, 'owner', ARGV[1], 'until', now + ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return { 'claimed', 0, fence, job[5] or 0, job[6] and 1 or 0, job[7] }
