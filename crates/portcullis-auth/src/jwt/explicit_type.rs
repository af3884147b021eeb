//! Types of tokens that are no access tokens (RFC 8725 §3.11).

/// Refuses what is not the type of one kind of token alone: a media type without `application/`
/// (RFC 7515 §4.1.9), in lower case, that ends with `+jwt`, and is not that of access tokens.
///
/// # Errors
///
/// Says what to write.
pub(crate) fn check_explicit_type(typ: &str) -> Result<(), &'static str> {
    let name = typ.strip_suffix("+jwt").ok_or(
        "the type of the token names one kind of token: write one of your own that ends with \
         `+jwt`, such as \"order-paid+jwt\"",
    )?;
    if name == "at" {
        return Err("at+jwt is the type of access tokens (RFC 9068): choose another");
    }
    // RFC 6838 §4.2, in lower case.
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"!#$&-^_.+".contains(&b);
    let begins = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if !begins || typ.len() > 127 || !name.bytes().all(plain) {
        return Err(
            "the type of the token has only lower-case letters, digits and `-._` before `+jwt`",
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn j26_a_type_of_its_own_is_never_that_of_an_access_token() {
        for typ in ["order-paid+jwt", "secevent+jwt", "a+jwt", "x.vnd.example+jwt", "at2+jwt"] {
            assert_eq!(check_explicit_type(typ), Ok(()), "{typ}");
        }
        let long = format!("{}+jwt", "a".repeat(124));
        for typ in [
            "",
            "jwt",
            "JWT",
            "+jwt",
            "at+jwt",
            "AT+JWT",
            "At+jwt",
            "application/at+jwt",
            "application/x+jwt",
            "order",
            "Order+jwt",
            "a b+jwt",
            "a\n+jwt",
            "-a+jwt",
            &long,
        ] {
            assert!(check_explicit_type(typ).is_err(), "{typ}");
        }
    }
}
