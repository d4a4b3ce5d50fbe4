-- Ends the script with 0 unless fence ARGV[1] is the latest of an open job.
local job = redis.call('HMGET', KEYS[1], 'fence', 'state', 'next', 'sending', 'plan')
if job[1] ~= ARGV[1] or job[2] ~= 'open' then
  return 0
end
local next_step, sending, plan = tonumber(job[3] or 0), tonumber(job[4]), job[5]
