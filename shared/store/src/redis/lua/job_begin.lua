-- KEYS[1] job  ARGV fence, step, lease ms, and the plan unless it is stored
-- A command that timed out may still run after later ones: it must not mark again what is sent by now.
if tonumber(ARGV[2]) < next_step then
  return 1
elseif plan or not ARGV[4] then
  redis.call('HSET', KEYS[1], 'sending', ARGV[2], 'until', now + ARGV[3])
else
  redis.call('HSET', KEYS[1], 'sending', ARGV[2], 'until', now + ARGV[3], 'plan', ARGV[4])
end
return 1
