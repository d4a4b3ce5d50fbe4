-- KEYS[1] order  ARGV message key  ->  1 when the message has left before, else 0;
-- how many ms ago work began on the one before it, nil when there is none
local score = redis.call('ZSCORE', KEYS[1], ARGV[1])
local before
if score then
  before = redis.call('ZRANGE', KEYS[1], '(' .. score, '-inf', 'BYSCORE', 'REV', 'LIMIT', 0, 1, 'WITHSCORES')
else
  before = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
end
local ago = before[2] and now - tonumber(before[2]) or false
-- A time that lies ahead is of before the clock was set back: how long ago that is nobody knows.
if ago and ago < -60000 then
  ago = 86400000
end
return {score and 1 or 0, ago and math.max(0, ago)}
