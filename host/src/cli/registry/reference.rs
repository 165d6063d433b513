//! `HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]`: an image in a registry.

use std::net::IpAddr;

use super::super::oci_layout::blob::Digest;
use super::super::remedy::Usage;

/// Bytes of a repository's name, and of a tag, as the specification of registries has them.
const REPOSITORY_BYTES_MAX: usize = 255;
const TAG_BYTES_MAX: usize = 128;

/// Docker's own registry is known by another name than that of its server.
const DOCKER: [&str; 2] = ["docker.io", "index.docker.io"];
const DOCKER_SERVER: &str = "registry-1.docker.io";

/// An image in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Reference {
    /// As it was written, with the port.
    pub(super) host: String,
    pub(super) repository: String,
    pub(super) which: Which,
}

/// Which image of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Which {
    Tag(String),
    /// Whatever tag stands beside it.
    Digest(Digest),
}

impl Reference {
    /// What stands behind `docker://`.
    pub(super) fn parse(text: &str) -> Result<Self, Usage> {
        let wrong =
            |why: String| Usage(format!("docker://{text}: {why}; it is docker://HOST/REPOSITORY, with :TAG or @sha256:DIGEST"));
        let (rest, digest) = match text.split_once('@') {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest).map_err(|error| wrong(error.to_string()))?)),
            None => (text, None),
        };
        let Some((host, path)) = rest.split_once('/').filter(|(host, _)| is_host(host)) else {
            return Err(wrong("its first part is no host, as ghcr.io or localhost:5000".to_owned()));
        };
        let (repository, tag) = match path.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (path, None),
        };
        if !is_repository(repository) {
            return Err(wrong(format!("{repository:?} is no name of a repository, in which letters are small")));
        }
        if let Some(tag) = tag.filter(|tag| !is_tag(tag)) {
            return Err(wrong(format!("{tag:?} is no tag")));
        }
        let which = digest.map_or_else(|| Which::Tag(tag.unwrap_or("latest").to_owned()), Which::Digest);
        let is_official = DOCKER.contains(&host) && !repository.contains('/');
        let repository = if is_official { format!("library/{repository}") } else { repository.to_owned() };
        Ok(Self { host: host.to_owned(), repository, which })
    }

    /// What the image is called, by its tag or its digest.
    pub(super) fn shown(&self) -> String {
        match &self.which {
            Which::Tag(tag) => format!("{}/{}:{tag}", self.host, self.repository),
            Which::Digest(digest) => self.by_digest(digest),
        }
    }

    /// The same image by a digest.
    pub(super) fn by_digest(&self, digest: &Digest) -> String {
        format!("{}/{}@{digest}", self.host, self.repository)
    }

    /// The server that is asked, and how.
    pub(super) fn server(&self) -> String {
        let host = if self.is_docker() { DOCKER_SERVER } else { &self.host };
        let scheme = if is_loopback(host) { "http" } else { "https" };
        format!("{scheme}://{host}")
    }

    pub(super) fn is_docker(&self) -> bool {
        DOCKER.contains(&self.host.as_str())
    }
}

/// Whether a host, with a port or without, is this machine itself. It is asked without TLS, as other programs do.
pub(super) fn is_loopback(host: &str) -> bool {
    // What stands before an `@` is no host.
    let Some((name, _)) = host_and_port(host).filter(|_| !host.contains('@')) else { return false };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name == "localhost" || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// The name or the address, and the port.
fn host_and_port(host: &str) -> Option<(&str, Option<&str>)> {
    if let Some(rest) = host.strip_prefix('[') {
        let end = rest.find(']')? + 2;
        let (name, rest) = host.split_at(end);
        return if rest.is_empty() { Some((name, None)) } else { Some((name, Some(rest.strip_prefix(':')?))) };
    }
    Some(host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port))))
}

/// Whether it is a host and no part of a repository's name: it has a dot or a port in it, or is `localhost`.
fn is_host(host: &str) -> bool {
    let Some((name, port)) = host_and_port(host) else { return false };
    let is_port = port.is_none_or(|port| port.parse::<u16>().is_ok_and(|port| port > 0));
    let is_address =
        name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).is_some_and(|name| name.parse::<IpAddr>().is_ok());
    let is_label = |label: &str| {
        let fits = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && label.chars().all(fits) && !label.starts_with('-') && !label.ends_with('-')
    };
    let is_name = name.split('.').all(is_label) && (name.contains('.') || port.is_some() || name == "localhost");
    is_port && (is_address || is_name)
}

/// Whether every part of it begins and ends with a small letter or a digit, and has single separators: `.`, `_`, `__` or any `-`.
fn is_repository(name: &str) -> bool {
    let is_part = |part: &str| {
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        let separators = part.split(is_word).filter(|separator| !separator.is_empty());
        let fit = separators
            .into_iter()
            .all(|separator| matches!(separator, "." | "_" | "__") || separator.bytes().all(|c| c == b'-'));
        part.starts_with(is_word) && part.ends_with(is_word) && fit
    };
    name.len() <= REPOSITORY_BYTES_MAX && name.split('/').all(is_part)
}

fn is_tag(tag: &str) -> bool {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.starts_with(is_word) && tag.len() <= TAG_BYTES_MAX && tag.chars().all(|c| is_word(c) || matches!(c, '.' | '-'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, String)> {
        Reference::parse(text).ok().map(|reference| (reference.server(), reference.shown()))
    }

    #[test]
    fn a_reference_has_a_host_a_repository_and_a_tag_or_a_digest() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let of = |server: &str, shown: &str| Some((server.to_owned(), shown.to_owned()));
        assert_eq!(parsed("ghcr.io/a/b:1.0"), of("https://ghcr.io", "ghcr.io/a/b:1.0"));
        assert_eq!(parsed("ghcr.io/a"), of("https://ghcr.io", "ghcr.io/a:latest"));
        assert_eq!(parsed("host:5000/a__b/c--d.e"), of("https://host:5000", "host:5000/a__b/c--d.e:latest"));
        assert_eq!(parsed("docker.io/hello"), of("https://registry-1.docker.io", "docker.io/library/hello:latest"));
        assert_eq!(parsed("docker.io/a/hello:1"), of("https://registry-1.docker.io", "docker.io/a/hello:1"));
        assert_eq!(parsed(&format!("h.io/a:1@{digest}")), of("https://h.io", &format!("h.io/a@{digest}")));
        for host in ["localhost", "localhost:5000", "127.0.0.1:80", "127.1.2.3", "[::1]:5000", "[::1]"] {
            assert_eq!(parsed(&format!("{host}/a")), of(&format!("http://{host}"), &format!("{host}/a:latest")));
        }
        for host in ["localhost.io", "128.0.0.1", "[::2]:5000", "127.0.0.1.io"] {
            assert_eq!(parsed(&format!("{host}/a")), of(&format!("https://{host}"), &format!("{host}/a:latest")));
        }
    }

    #[test]
    fn what_is_no_reference_is_refused() {
        let long = format!("h.io/{}", "a".repeat(256));
        for wrong in [
            "",
            "hello",
            "library/hello",
            "h.io",
            "h.io/",
            "/a",
            "h.io/A",
            "h.io/a//b",
            "h.io/a/",
            "h.io/-a",
            "h.io/a-",
            "h.io/a..b",
            "h.io/a___b",
            "h.io/../a",
            "h.io/a:",
            "h.io/a:.b",
            "h.io/a:b/c",
            "h.io/a@sha256:b",
            "h.io/a@md5:b",
            "user@h.io/a",
            "h.io:x/a",
            "h.io:0/a",
            "h.io:99999/a",
            "h..io/a",
            "-h.io/a",
            "h_.io/a",
            "[::1/a",
            "[h]:1/a",
            "h.io/a?b",
            "h.io/a%2fb",
            "h.io/a#b",
            "h.io /a",
            &long,
        ] {
            assert_eq!(parsed(wrong), None, "{wrong}");
        }
    }
}
