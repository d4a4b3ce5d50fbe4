-- KEYS[1] token  ->  value, ms left; nil when there is none or it has expired
local token = redis.call('HMGET', KEYS[1], 'value', 'expires_at')
if not token[1] then
  return false
end
local left = tonumber(token[2]) - now
if left <= 0 then
  return false
end
return { token[1], left }
