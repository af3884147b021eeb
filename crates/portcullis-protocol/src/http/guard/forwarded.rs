//! The syntax of forwarded addresses (RFC 7239).

use std::net::{IpAddr, Ipv6Addr};

/// Optional whitespace (RFC 9110 §5.6.3).
pub(super) const SPACE: [char; 2] = [' ', '\t'];

/// What each element of a `Forwarded` header says after `for=`, if there are at most so many; none
/// if any of it is malformed.
///
/// It is read from its start: a quote that is left open swallows what comes after it, and nothing
/// of that is taken for an element.
pub(super) fn nodes(list: &str, most: usize) -> Option<Vec<String>> {
    let (mut nodes, mut rest) = (Vec::new(), list);
    loop {
        let (node, after) = element(rest)?;
        nodes.push(node);
        match after.strip_prefix(',') {
            Some(next) if nodes.len() < most => rest = next,
            None if after.is_empty() => return Some(nodes),
            _ => return None,
        }
    }
}

/// The address of a node, whose port is not looked at; none where it is hidden or unknown.
pub(super) fn address(node: &str) -> Option<IpAddr> {
    let address = match node.strip_prefix('[') {
        Some(rest) => {
            let (address, port) = rest.split_once(']')?;
            is_port(port).then(|| address.parse::<Ipv6Addr>().ok())?.map(IpAddr::V6)
        }
        None => match node.split_once(':') {
            Some((address, port)) if !port.contains(':') => {
                is_port(node.get(address.len()..)?).then(|| address.parse().ok())?
            }
            _ => node.parse().ok(),
        },
    };
    address.map(|address| address.to_canonical())
}

/// Whether it is nothing, or a colon and a port.
fn is_port(text: &str) -> bool {
    let Some(port) = text.strip_prefix(':') else { return text.is_empty() };
    port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok()
}

/// One element, and what comes after it.
fn element(text: &str) -> Option<(String, &str)> {
    let (mut node, mut rest) = (None, text);
    loop {
        let (name, after) = token(rest.trim_start_matches(SPACE))?;
        let (value, after) = value(after.strip_prefix('=')?)?;
        if name.eq_ignore_ascii_case("for") && node.replace(value).is_some() {
            return None;
        }
        rest = after.trim_start_matches(SPACE);
        match rest.strip_prefix(';') {
            Some(next) => rest = next,
            None => return Some((node?, rest)),
        }
    }
}

/// A token (RFC 9110 §5.6.2), and what comes after it.
fn token(text: &str) -> Option<(&str, &str)> {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
    let end = text.find(|c| !is_part(c)).unwrap_or(text.len());
    (end > 0).then(|| text.split_at_checked(end))?
}

/// A token or a quoted string without its quotes, and what comes after it.
fn value(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        return token(text).map(|(token, rest)| (token.to_owned(), rest));
    };
    let (mut value, mut chars) = (String::new(), quoted.chars());
    loop {
        match chars.next()? {
            '"' => return Some((value, chars.as_str())),
            '\\' => value.push(chars.next()?),
            c => value.push(c),
        }
    }
}
