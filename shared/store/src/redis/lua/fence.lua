-- A fence above `last`. Starting from the clock keeps it growing even when the entry was lost or has expired.
local function fence_after(last)
  return string.format('%.0f', math.max(tonumber(last or 0) + 1, now_us))
end
