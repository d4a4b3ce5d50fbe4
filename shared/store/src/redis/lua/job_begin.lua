-- KEYS[1] job  ARGV fence, step, lease ms
-- A command that timed out may still run after later ones: it must not mark again what is sent by now.
if tonumber(ARGV[2]) >= tonumber(redis.call('HGET', KEYS[1], 'next')) then
  redis.call('HSET', KEYS[1], 'sending', ARGV[2], 'until', now + ARGV[3])
end
return 1
