//! What is told when a registry does not answer as it should.

use std::io;
use std::path::PathBuf;

use super::super::remedy::Remedied;
use super::credentials::Search;
use super::reference::{Reference, Which};

/// The registry, or a server that it has named, was not reached.
pub(super) fn unreachable(reference: &Reference, host: &str, error: ureq::Error) -> anyhow::Error {
    if let Some(why) = tls(&error) {
        let help = "see whether that is the host that you mean; SSL_CERT_FILE names certificates that are to be trusted, in place of \
                    those of the system";
        return told(format!("there is no safe connection to {host}"), why, help.to_owned());
    }
    let help = match &reference.which {
        Which::Tag(_) => format!(
            "a tag has to be asked for, but what was fetched before runs without the network by its digest: \
             docker://{}/{}@sha256:DIGEST, which -v tells",
            reference.host, reference.repository
        ),
        Which::Digest(_) => {
            "see whether the host is right, and HTTPS_PROXY if there is a proxy; what is fetched once is kept".to_owned()
        }
    };
    let why = match error {
        ureq::Error::Io(error) => error.to_string(),
        error @ (ureq::Error::Timeout(_) | ureq::Error::HostNotFound | ureq::Error::ConnectionFailed) => error.to_string(),
        error @ (ureq::Error::ConnectProxyFailed(_) | ureq::Error::InvalidProxyUrl) => error.to_string(),
        error => return unusual(reference, format!("what {host} answers cannot be read: {error}")),
    };
    told(format!("{host} cannot be reached"), why, help)
}

/// What is wrong with the certificate, or with the protocol, if that is it.
fn tls(error: &ureq::Error) -> Option<String> {
    match error {
        ureq::Error::Rustls(error) => Some(error.to_string()),
        ureq::Error::Tls(why) => Some((*why).to_owned()),
        ureq::Error::Io(error) => inner_tls(error).map(ToString::to_string),
        _ => None,
    }
}

fn inner_tls(error: &io::Error) -> Option<&rustls::Error> {
    let inner = error.get_ref()?;
    inner.downcast_ref().or_else(|| inner.source()?.downcast_ref())
}

/// The image is not given to this user.
pub(super) fn denied(reference: &Reference, status: u16, search: Option<&Search>) -> anyhow::Error {
    let list = |files: &[PathBuf]| files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>().join(" or ");
    let credentials = match search {
        Some(Search { found: Some((_, file)), .. }) => format!("with the credentials in {}", file.display()),
        Some(Search { found: None, files }) if !files.is_empty() => {
            format!("without credentials, of which there are none in {}", list(files))
        }
        Some(_) => "without credentials, for which there is no place: none of HOME and XDG_RUNTIME_DIR is set".to_owned(),
        None => "and did not say how to log in".to_owned(),
    };
    let host = &reference.host;
    let why = format!("it answered with status {status}, {credentials}");
    let help = format!("see whether there is such an image, and log in with `podman login {host}` or `docker login {host}`");
    told(format!("{host} does not give {} away", reference.shown()), why, help)
}

/// There is something that the registry does not have.
pub(super) fn missing(reference: &Reference, address: &str) -> anyhow::Error {
    let why = format!("it answered with status 404 for {address}");
    let help = format!("`skopeo list-tags docker://{}/{}` tells what there is", reference.host, reference.repository);
    told(format!("{} has no {}", reference.host, reference.shown()), why, help)
}

/// The registry gives no more for now.
pub(super) fn too_much(reference: &Reference, status: u16) -> anyhow::Error {
    let host = &reference.host;
    let help = format!("try again later; many give more to who logs in, with `podman login {host}` or `docker login {host}`");
    told(format!("{host} does not answer for now"), format!("it answered with status {status}"), help)
}

/// The registry does something that none should.
pub(super) fn unusual(reference: &Reference, why: String) -> anyhow::Error {
    let help = "see whether that is a registry; `skopeo copy` to an oci-layout may know it better".to_owned();
    told(format!("{} does not answer as a registry does", reference.host), why, help)
}

fn told(what: String, why: String, help: String) -> anyhow::Error {
    anyhow::Error::msg(why).context(Remedied { what, help })
}
