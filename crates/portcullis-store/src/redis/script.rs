//! What Redis runs in one piece.
//!
//! A script that fails keeps what it has written. So each looks before it writes, and what may
//! fail for the state of a key comes before what may not. All keys are declared.

use redis::Script;

/// The scripts, with the names that Redis knows them by.
#[derive(Debug)]
pub(super) struct Scripts {
    pub(super) write: Script,
    pub(super) take: Script,
}

impl Scripts {
    pub(super) fn new() -> Self {
        Self { write: Script::new(WRITE), take: Script::new(TAKE) }
    }
}

/// The code of the error for a value that is no record of this version.
pub(super) const NO_RECORD: &str = "NORECORD";

/// What [`WRITE`] answers: it has written.
pub(super) const DONE: i64 = 1;

/// What [`WRITE`] answers: the value was not the expected one.
pub(super) const CONFLICT: i64 = 0;

/// How many expired entries of an owner's index one write removes: more than it adds.
pub(super) const SWEPT_BY_A_WRITE: usize = 16;

/// Writes or removes a record, and its entry in the index of its owner.
///
/// - `KEYS`: the record; the index, if it has an owner.
/// - `ARGV`: 1 what has to be there (`any`, `none` or `value`), 2 that value, 3 and 4 the time
///   in seconds and nanoseconds, 5 the new record or nothing, 6 its lifetime in milliseconds,
///   7 the entry in the index, 8 its score, 9 before which scores entries are swept, 10 how many.
///
/// An absent key is `false` in Lua, and an empty text is true.
const WRITE: &str = r"
if ARGV[1] ~= 'any' then
  local record, value = redis.call('GET', KEYS[1]), false
  if record then
    local seconds = tonumber(string.sub(record, 2, 14))
    local nanoseconds = tonumber(string.sub(record, 15, 23))
    if string.sub(record, 1, 1) ~= '1' or not seconds or not nanoseconds then
      return redis.error_reply('NORECORD this is no record of this version')
    end
    local now, part = tonumber(ARGV[3]), tonumber(ARGV[4])
    if seconds > now or (seconds == now and nanoseconds > part) then
      value = string.sub(record, 24)
    end
  end
  if ARGV[1] == 'value' then
    if value ~= ARGV[2] then return 0 end
  elseif value then
    return 0
  end
end
if ARGV[5] == '' then
  if KEYS[2] then redis.call('ZREM', KEYS[2], ARGV[7]) end
  redis.call('DEL', KEYS[1])
  return 1
end
if KEYS[2] then
  redis.call('ZADD', KEYS[2], ARGV[8], ARGV[7])
  local old = redis.call(
    'ZRANGEBYSCORE', KEYS[2], '-inf', '(' .. ARGV[9], 'LIMIT', '0', ARGV[10])
  if #old > 0 then redis.call('ZREM', KEYS[2], unpack(old)) end
  if redis.call('PTTL', KEYS[2]) < tonumber(ARGV[6]) then
    redis.call('PEXPIRE', KEYS[2], ARGV[6])
  end
end
redis.call('SET', KEYS[1], ARGV[5], 'PX', ARGV[6])
return 1
";

/// Removes a record and gives it, ended or not: its reader judges that.
///
/// - `KEYS`: the record; the index, if it has an owner.
/// - `ARGV`: 1 the entry in the index.
///
/// A record of another version stays where it is: the reader refuses it.
const TAKE: &str = r"
local record = redis.call('GET', KEYS[1])
if record and string.sub(record, 1, 1) ~= '1' then
  return redis.error_reply('NORECORD this is no record of this version')
end
if KEYS[2] then redis.call('ZREM', KEYS[2], ARGV[1]) end
redis.call('DEL', KEYS[1])
return record
";
