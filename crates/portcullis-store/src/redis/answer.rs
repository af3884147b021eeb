//! Answers of Redis, each read as the one thing that it may be: nil is absence, never success.

use redis::Value;

use super::connection::Failure;

/// A value, or nothing.
pub(super) fn optional(answer: Value) -> Result<Option<Vec<u8>>, Failure> {
    match answer {
        Value::Nil => Ok(None),
        Value::BulkString(bytes) => Ok(Some(bytes)),
        _ => Err(Failure::Nonsense),
    }
}

/// `number` values in order, where each may be absent.
pub(super) fn optionals(answer: Value, number: usize) -> Result<Vec<Option<Vec<u8>>>, Failure> {
    match answer {
        Value::Array(values) if values.len() == number => {
            values.into_iter().map(optional).collect()
        }
        _ => Err(Failure::Nonsense),
    }
}

/// A number.
pub(super) fn integer(answer: &Value) -> Result<i64, Failure> {
    match answer {
        Value::Int(number) => Ok(*number),
        _ => Err(Failure::Nonsense),
    }
}

/// A text, in any of its forms.
pub(super) fn text(answer: Value) -> Result<String, Failure> {
    match answer {
        Value::BulkString(bytes) => String::from_utf8(bytes).map_err(|_| Failure::Nonsense),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Ok(text),
        _ => Err(Failure::Nonsense),
    }
}

/// One step through a sorted set.
#[derive(Debug, PartialEq)]
pub(super) struct Step {
    /// Where the next begins; at the end, nowhere.
    pub(super) next: Option<Vec<u8>>,
    /// Each with its score.
    pub(super) members: Vec<([u8; 32], f64)>,
}

/// The answer of `ZSCAN`.
pub(super) fn step(answer: Value) -> Result<Step, Failure> {
    let Value::Array(parts) = answer else { return Err(Failure::Nonsense) };
    let Ok([cursor, Value::Array(flat)]) = <[Value; 2]>::try_from(parts) else {
        return Err(Failure::Nonsense);
    };
    let cursor = optional(cursor)?.ok_or(Failure::Nonsense)?;
    let mut flat = flat.into_iter();
    let mut members = Vec::with_capacity(flat.len() / 2);
    while let Some(member) = flat.next() {
        let member = optional(member)?.and_then(|member| <[u8; 32]>::try_from(member).ok());
        let score = flat.next().ok_or(Failure::Nonsense)?;
        members.push((member.ok_or(Failure::Nonsense)?, number(score)?));
    }
    Ok(Step { next: (cursor != b"0").then_some(cursor), members })
}

fn number(score: Value) -> Result<f64, Failure> {
    if let Value::Double(score) = score {
        return Ok(score);
    }
    text(score)?.parse().map_err(|_| Failure::Nonsense)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bulk(bytes: &[u8]) -> Value {
        Value::BulkString(bytes.to_vec())
    }

    #[test]
    fn nil_is_absence_and_anything_unexpected_an_error() {
        assert_eq!(optional(Value::Nil).unwrap(), None);
        assert_eq!(optional(bulk(b"")).unwrap(), Some(Vec::new()));
        for odd in [
            Value::Okay,
            Value::Int(1),
            Value::Boolean(false),
            Value::SimpleString("nil".to_owned()),
            Value::Array(Vec::new()),
        ] {
            assert!(optional(odd.clone()).is_err(), "{odd:?}");
            assert!(optionals(odd.clone(), 1).is_err(), "{odd:?}");
            assert!(step(odd).is_err());
        }
        for odd in [Value::Nil, Value::Okay, bulk(b"1"), Value::Boolean(true)] {
            assert!(integer(&odd).is_err(), "{odd:?}");
        }
        assert!(optionals(Value::Array(vec![Value::Nil]), 2).is_err());
        let two = Value::Array(vec![Value::Nil, bulk(b"a")]);
        assert_eq!(optionals(two, 2).unwrap(), [None, Some(b"a".to_vec())]);
    }

    #[test]
    fn a_step_has_whole_members_with_scores() {
        let page = |flat| Value::Array(vec![bulk(b"0"), Value::Array(flat)]);
        let one = step(page(vec![bulk(&[7; 32]), bulk(b"12")])).unwrap();
        assert_eq!(one, Step { next: None, members: vec![([7; 32], 12.0)] });
        assert!(step(page(vec![bulk(&[7; 32])])).is_err());
        assert!(step(page(vec![bulk(&[7; 31]), bulk(b"12")])).is_err());
        assert!(step(page(vec![bulk(&[7; 32]), bulk(b"x")])).is_err());
        let more = Value::Array(vec![bulk(b"17"), Value::Array(Vec::new())]);
        assert_eq!(step(more).unwrap().next, Some(b"17".to_vec()));
    }
}
