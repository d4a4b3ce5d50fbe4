-- KEYS[1] window  ->  at, by, sent, refused by the latest message; the same by the latest entering; counted last
local function opened(prefix)
  return redis.call('HMGET', KEYS[1], prefix .. 'at', prefix .. 'by', prefix .. 'sent', prefix .. 'refused')
end
return { opened('m_'), opened('e_'), redis.call('HGET', KEYS[1], 'counted') }
