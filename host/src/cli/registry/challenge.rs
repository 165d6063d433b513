//! What a registry asks for before it gives anything: `WWW-Authenticate`, and the token that is fetched for it.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::reference::is_loopback;

/// How a registry wants to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Challenge {
    /// With a name and a password.
    Basic,
    /// With a token, which the server at `realm` gives.
    Bearer { realm: String, service: Option<String>, scope: Option<String> },
}

impl Challenge {
    /// The first that is known here of those in some headers.
    pub(super) fn find<'a>(headers: impl Iterator<Item = &'a str>) -> Option<Self> {
        let all: Vec<(String, Vec<(String, String)>)> = headers.flat_map(challenges).collect();
        let of = |scheme: &str| all.iter().find(|(name, _)| name.eq_ignore_ascii_case(scheme));
        let bearer = of("bearer").and_then(|(_, parameters)| {
            let value = |name: &str| parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone());
            Some(Self::Bearer { realm: value("realm")?, service: value("service"), scope: value("scope") })
        });
        bearer.or_else(|| of("basic").map(|_| Self::Basic))
    }
}

/// Fails if somebody could listen to what is told a realm, unless all is on this machine.
pub(super) fn check_realm(server: &str, realm: &str) -> Result<(), String> {
    let is_here = |address: &str| address.strip_prefix("http://").is_some_and(|rest| is_loopback(authority(rest)));
    if realm.starts_with("https://") || (is_here(realm) && is_here(server)) {
        return Ok(());
    }
    Err(format!("it gives tokens at {realm:?}, which is not asked, since it is no https"))
}

/// The address to fetch a token from.
pub(super) fn token_address(realm: &str, service: Option<&str>, scope: &str) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let mut address = format!("{realm}{}scope={}", if realm.contains('?') { '&' } else { '?' }, encoded(scope));
    if let Some(service) = service {
        address.push_str(&format!("&service={}", encoded(service)));
    }
    address
}

/// The host and the port at the start of what stands behind `http://`.
pub(super) fn authority(rest: &str) -> &str {
    rest.split(['/', '?', '#']).next().unwrap_or(rest)
}

/// The challenges of a header: `Scheme name="value", name=value, Scheme ..`.
fn challenges(header: &str) -> Vec<(String, Vec<(String, String)>)> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',', '\t']);
    while !rest.is_empty() {
        let end = rest.find([' ', '=', ',', '\t']).unwrap_or(rest.len());
        let (word, behind) = rest.split_at(end);
        let value = behind.trim_start().strip_prefix('=');
        match (value, found.last_mut()) {
            (Some(value), Some((_, parameters))) if !word.is_empty() => {
                let (value, behind) = read_value(value.trim_start());
                parameters.push((word.to_ascii_lowercase(), value));
                rest = behind;
            }
            (None, _) if !word.is_empty() => {
                found.push((word.to_owned(), Vec::new()));
                rest = behind;
            }
            // It is no list of challenges from here on.
            _ => break,
        }
        rest = rest.trim_start_matches([' ', ',', '\t']);
    }
    found
}

/// A value in quotes or without, and what is behind it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', ',', '\t']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        let owned = |text: Option<&str>| text.map(str::to_owned);
        Some(Challenge::Bearer { realm: realm.to_owned(), service: owned(service), scope: owned(scope) })
    }

    #[test]
    fn a_challenge_is_found_among_others() {
        let find = |headers: &[&str]| Challenge::find(headers.iter().copied());
        let usual = r#"Bearer realm="https://a.io/token",service="a.io",scope="repository:a/b:pull,push""#;
        assert_eq!(find(&[usual]), bearer("https://a.io/token", Some("a.io"), Some("repository:a/b:pull,push")));
        assert_eq!(find(&["Basic realm=\"x\""]), Some(Challenge::Basic));
        assert_eq!(find(&["basic"]), Some(Challenge::Basic));
        assert_eq!(find(&["Basic realm=x", "bearer  Realm = https://a"]), bearer("https://a", None, None));
        assert_eq!(find(&["Negotiate, Basic realm=\"a, Bearer\", Bearer realm=\"r\\\"s\""]), bearer("r\"s", None, None));
        for none in
            ["", ",", "=", "Bearer", "Bearer service=x", "Digest realm=\"x\"", "realm=\"x\"", "Bearer ==", "Bearer realm"]
        {
            assert_eq!(find(&[none]), None, "{none}");
        }
    }

    #[test]
    fn a_token_is_fetched_where_nobody_listens() {
        let address = |server: &str, realm: &str| {
            check_realm(server, realm).ok().map(|()| token_address(realm, Some("a b"), "repository:a:pull"))
        };
        let query = "scope=repository%3Aa%3Apull&service=a%20b";
        assert_eq!(address("https://h.io", "https://a.io/t"), Some(format!("https://a.io/t?{query}")));
        assert_eq!(address("https://h.io", "https://a.io/t?x=y"), Some(format!("https://a.io/t?x=y&{query}")));
        assert_eq!(address("http://localhost:5000", "http://127.0.0.1:1/t"), Some(format!("http://127.0.0.1:1/t?{query}")));
        for (server, realm) in [
            ("https://h.io", "http://a.io/t"),
            ("https://h.io", "http://localhost/t"),
            ("http://localhost", "http://a.io/t"),
            ("http://localhost", "http://localhost.a.io/t"),
            ("http://localhost", "http://localhost@a.io/t"),
            ("http://localhost", "http://localhost:80@a.io/t"),
            ("https://h.io", "file:///etc/passwd"),
            ("https://h.io", "/t"),
        ] {
            assert_eq!(address(server, realm), None, "{server} {realm}");
        }
    }
}
