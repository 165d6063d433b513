//! Asking a registry: `GET /v2/REPOSITORY/..`, with what it wants to know of the user, and within limits.

use std::cell::{OnceCell, RefCell};
use std::io::{ErrorKind, Read};
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::Value;
use ureq::http::Response;
use ureq::http::header::{ACCEPT, AUTHORIZATION, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use ureq::{Agent, Body, Proxy};

use super::super::oci_layout::blob::{DOCUMENT_BYTES_MAX, Digest};
use super::challenge::{Challenge, authority, check_realm, token_address};
use super::credentials::{self, Credentials, Search};
use super::failures;
use super::reference::{Reference, is_loopback};

/// How often something is tried again that was lost on the way, or that the registry had no time for.
pub(super) const RETRIES: usize = 1;

/// How long a registry that has no time is waited for. 10 s: whoever is to wait longer is told.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(10);

/// Servers that lead to another one. Registries lead to one, and that sometimes to another.
const REDIRECTS_MAX: usize = 5;

/// Times for one step each; how long all of it may take is said by whoever asks for the image.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(20);
const SILENCE_TIME_MAX: Duration = Duration::from_secs(60);

/// Bytes of the header of an answer. 64 KiB: those of registries have less than two.
const HEADER_BYTES_MAX: usize = 64 << 10;

/// Bytes of an answer with a token. 1 MiB: tokens have a few thousand.
const TOKEN_BYTES_MAX: u64 = 1 << 20;

/// All that is a manifest, or an index of several.
const MANIFESTS: &str = "application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, \
    application/vnd.docker.distribution.manifest.v2+json, application/vnd.docker.distribution.manifest.list.v2+json";

const ANYTHING: &str = "*/*";

/// A way to the repository of an image.
pub(super) struct Client {
    agent: Agent,
    reference: Reference,
    server: String,
    /// What the registry is told of the user, once it has asked.
    authorization: RefCell<Option<String>>,
    search: OnceCell<Search>,
}

/// An answer, and whether it is that of the registry itself.
struct Answer {
    response: Response<Body>,
    is_own: bool,
}

impl Client {
    pub(super) fn new(reference: Reference) -> Self {
        // Another part of the process may have installed one: it is as good.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let server = reference.server();
        // What is on this machine is not asked for by another one.
        let proxy = if server.starts_with("http://") { None } else { Proxy::try_from_env() };
        let roots = ureq::tls::TlsConfig::builder().root_certs(ureq::tls::RootCerts::PlatformVerifier);
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .max_response_header_size(HEADER_BYTES_MAX)
            .timeout_resolve(Some(CONNECT_TIME_MAX))
            .timeout_connect(Some(CONNECT_TIME_MAX))
            .timeout_recv_response(Some(SILENCE_TIME_MAX))
            .timeout_per_read(Some(SILENCE_TIME_MAX))
            .timeout_per_write(Some(SILENCE_TIME_MAX))
            .user_agent(concat!("aiohost/", env!("CARGO_PKG_VERSION")))
            .tls_config(roots.build())
            .proxy(proxy);
        let agent = config.build().new_agent();
        Self { agent, reference, server, authorization: RefCell::new(None), search: OnceCell::new() }
    }

    /// A manifest by its tag or its digest, which is not held against anything.
    pub(super) fn manifest(&self, name: &str) -> anyhow::Result<Vec<u8>> {
        let response = self.get(&format!("manifests/{name}"), MANIFESTS)?;
        let mut text = Vec::new();
        let body = response.into_body().into_reader();
        body.take(DOCUMENT_BYTES_MAX + 1)
            .read_to_end(&mut text)
            .with_context(|| format!("cannot fetch the manifest {name}"))?;
        if text.len() as u64 > DOCUMENT_BYTES_MAX {
            let why = format!("its manifest {name} has more than {} MiB", DOCUMENT_BYTES_MAX >> 20);
            return Err(failures::unusual(&self.reference, why));
        }
        Ok(text)
    }

    /// The bytes of a blob, as they come.
    pub(super) fn blob(&self, digest: &Digest) -> anyhow::Result<impl Read + use<>> {
        Ok(self.get(&format!("blobs/{digest}"), ANYTHING)?.into_body().into_reader())
    }

    fn get(&self, path: &str, accept: &str) -> anyhow::Result<Response<Body>> {
        let address = format!("{}/v2/{}/{path}", self.server, self.reference.repository);
        let mut answer = self.follow(&address, accept)?;
        if answer.response.status() == 401 && answer.is_own {
            let headers = answer.response.headers().get_all(WWW_AUTHENTICATE).iter();
            let challenge = Challenge::find(headers.filter_map(|header| header.to_str().ok()));
            let is_new = match challenge {
                Some(challenge) => self.authorize(challenge)?,
                None => false,
            };
            if is_new {
                answer = self.follow(&address, accept)?;
            }
        }
        match answer.response.status().as_u16() {
            200 => Ok(answer.response),
            status @ (401 | 403) => Err(failures::denied(&self.reference, status, self.search.get())),
            404 => Err(failures::missing(&self.reference, &address)),
            status @ (429 | 503) => Err(failures::too_much(&self.reference, status)),
            status => Err(failures::unusual(&self.reference, format!("it answered with status {status} for {address}"))),
        }
    }

    /// The answer at the end of all redirects. Only the registry itself is told of the user.
    fn follow(&self, address: &str, accept: &str) -> anyhow::Result<Answer> {
        let mut address = address.to_owned();
        for _ in 0..=REDIRECTS_MAX {
            let is_own = origin(&address) == self.server;
            let authorization = self.authorization.borrow().clone().filter(|_| is_own);
            let response = self.send(&address, || {
                let request = self.agent.get(&address).header(ACCEPT, accept);
                match &authorization {
                    Some(authorization) => request.header(AUTHORIZATION, authorization).call(),
                    None => request.call(),
                }
            })?;
            if !matches!(response.status().as_u16(), 301 | 302 | 303 | 307 | 308) {
                return Ok(Answer { response, is_own });
            }
            let location = response.headers().get(LOCATION).and_then(|location| location.to_str().ok()).unwrap_or_default();
            address = next_address(&self.server, &address, location)
                .ok_or_else(|| failures::unusual(&self.reference, format!("it leads to {location:?}, which is not asked")))?;
        }
        Err(failures::unusual(&self.reference, format!("it leads on more than {REDIRECTS_MAX} times")))
    }

    /// Asks, and once more if that was lost or there was no time for it.
    fn send(&self, address: &str, ask: impl Fn() -> Result<Response<Body>, ureq::Error>) -> anyhow::Result<Response<Body>> {
        let mut tries = 0;
        loop {
            match ask() {
                Ok(response) if tries < RETRIES && matches!(response.status().as_u16(), 429 | 503) => {
                    let Some(pause) = pause(&response) else { return Ok(response) };
                    // As long as the registry asks for: it tells nobody when it has time again.
                    thread::sleep(pause);
                }
                Err(error) if tries < RETRIES && is_dropped(&error) => {}
                outcome => {
                    let host = authority(address.split_once("://").map_or(address, |(_, rest)| rest));
                    return outcome.map_err(|error| failures::unreachable(&self.reference, host, error));
                }
            }
            tries += 1;
        }
    }

    /// Does what the registry asks for, and tells whether there is something new to tell it.
    fn authorize(&self, challenge: Challenge) -> anyhow::Result<bool> {
        let search = self.search()?;
        let credentials = search.found.as_ref().map(|(credentials, _)| credentials);
        let new = match challenge {
            Challenge::Basic => credentials.and_then(Credentials::basic),
            Challenge::Bearer { realm, service, scope } => {
                let scope = scope.unwrap_or_else(|| format!("repository:{}:pull", self.reference.repository));
                Some(format!("Bearer {}", self.token(&realm, service.as_deref(), &scope, credentials)?))
            }
        };
        let is_new = new.is_some() && *self.authorization.borrow() != new;
        *self.authorization.borrow_mut() = new;
        Ok(is_new)
    }

    fn search(&self) -> anyhow::Result<&Search> {
        if let Some(search) = self.search.get() {
            return Ok(search);
        }
        let search = credentials::find(&self.reference)?;
        Ok(self.search.get_or_init(|| search))
    }

    /// Fetches a token. Its server is not followed to another one.
    fn token(
        &self,
        realm: &str,
        service: Option<&str>,
        scope: &str,
        credentials: Option<&Credentials>,
    ) -> anyhow::Result<String> {
        check_realm(&self.server, realm).map_err(|why| failures::unusual(&self.reference, why))?;
        let address = token_address(realm, service, scope);
        let response = self.send(realm, || match credentials {
            Some(Credentials::Refresh(token)) => {
                let service = service.unwrap_or_default();
                let fields =
                    [("grant_type", "refresh_token"), ("client_id", "aiohost"), ("service", service), ("scope", scope)];
                self.agent.post(realm).send_form(fields.into_iter().chain([("refresh_token", token.as_str())]))
            }
            Some(credentials) => self.agent.get(&address).header(AUTHORIZATION, credentials.basic().unwrap_or_default()).call(),
            None => self.agent.get(&address).call(),
        })?;
        match response.status().as_u16() {
            200 => {}
            status @ (400 | 401 | 403) => return Err(failures::denied(&self.reference, status, self.search.get())),
            status @ (429 | 503) => return Err(failures::too_much(&self.reference, status)),
            status => return Err(failures::unusual(&self.reference, format!("{realm} answered with status {status}"))),
        }
        let mut text = Vec::new();
        response.into_body().into_reader().take(TOKEN_BYTES_MAX).read_to_end(&mut text).context("cannot fetch a token")?;
        let answer: Value = serde_json::from_slice(&text).unwrap_or_default();
        let token = answer["token"].as_str().or_else(|| answer["access_token"].as_str());
        token.map(str::to_owned).ok_or_else(|| failures::unusual(&self.reference, format!("{realm} gave no token")))
    }
}

/// How long to wait before something is asked once more, if that is not too long.
fn pause(response: &Response<Body>) -> Option<Duration> {
    let seconds = match response.headers().get(RETRY_AFTER) {
        Some(after) => after.to_str().ok()?.parse().ok()?,
        None => 1,
    };
    Some(Duration::from_secs(seconds)).filter(|pause| *pause <= RETRY_AFTER_MAX)
}

/// Whether a connection was lost before there was an answer.
fn is_dropped(error: &ureq::Error) -> bool {
    let kinds = [ErrorKind::UnexpectedEof, ErrorKind::ConnectionReset, ErrorKind::ConnectionAborted, ErrorKind::BrokenPipe];
    matches!(error, ureq::Error::Io(error) if kinds.contains(&error.kind()))
}

/// The scheme and the host of an address.
fn origin(address: &str) -> &str {
    let Some((scheme, rest)) = address.split_once("://") else { return address };
    &address[..scheme.len() + "://".len() + authority(rest).len()]
}

/// Where a server leads to: not out of TLS, and to this machine only from this machine.
fn next_address(server: &str, address: &str, location: &str) -> Option<String> {
    let next = if let Some(rest) = location.strip_prefix("//") {
        format!("{}://{rest}", address.split_once("://")?.0)
    } else if location.starts_with('/') {
        format!("{}{location}", origin(address))
    } else {
        location.to_owned()
    };
    let is_here = |address: &str| address.strip_prefix("http://").is_some_and(|rest| is_loopback(authority(rest)));
    (next.starts_with("https://") || (is_here(&next) && is_here(server))).then_some(next)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_leads_to_no_place_where_somebody_listens() {
        let from = |server: &str, location: &str| next_address(server, &format!("{server}/v2/a/blobs/b"), location);
        let (there, here) = ("https://h.io", "http://localhost:5000");
        assert_eq!(from(there, "https://cdn.io/b?c=d").as_deref(), Some("https://cdn.io/b?c=d"));
        assert_eq!(from(there, "/other").as_deref(), Some("https://h.io/other"));
        assert_eq!(from(there, "//cdn.io/b").as_deref(), Some("https://cdn.io/b"));
        assert_eq!(from(here, "http://127.0.0.2/b").as_deref(), Some("http://127.0.0.2/b"));
        assert_eq!(from(here, "https://cdn.io/b").as_deref(), Some("https://cdn.io/b"));
        for location in ["http://cdn.io/b", "http://localhost/b", "file:///etc/passwd", "b", "", "HTTP://localhost"] {
            assert_eq!(from(there, location), None, "{location}");
        }
        for location in ["http://cdn.io/b", "http://localhost@cdn.io/b", "http://localhost:1@cdn.io/b", "//cdn.io/b"] {
            assert_eq!(from(here, location), None, "{location}");
        }
    }

    #[test]
    fn only_the_server_itself_is_the_server() {
        for (address, expected) in [
            ("https://h.io/v2/a", "https://h.io"),
            ("https://h.io:443/v2/a", "https://h.io:443"),
            ("https://h.io@evil.io/v2/a", "https://h.io@evil.io"),
            ("https://h.io?a", "https://h.io"),
        ] {
            assert_eq!(origin(address), expected);
        }
    }
}
