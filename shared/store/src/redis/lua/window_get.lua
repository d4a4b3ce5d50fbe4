-- KEYS[1] window  ->  at, by, sent, refused by the latest message; the same by the latest entering; counted last;
-- until when messages make nothing known
local function opened(prefix)
  return redis.call('HMGET', KEYS[1], prefix .. 'at', prefix .. 'by', prefix .. 'sent', prefix .. 'refused')
end
local rest = redis.call('HMGET', KEYS[1], 'counted', 'unknown_until')
return { opened('m_'), opened('e_'), rest[1], rest[2] }
