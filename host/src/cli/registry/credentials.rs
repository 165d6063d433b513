//! The user's credentials for a registry: where `podman login` and `docker login` leave them.

use std::env;
use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::reference::Reference;

/// Bytes of a file with credentials. 1 MiB: some thousand registries.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// Bytes that a program with credentials may print. 64 KiB: the longest tokens have a few.
const HELPER_BYTES_MAX: u64 = 64 << 10;

/// How long such a program may take. Half a minute: it may ask the user, and is not waited for in vain.
const HELPER_TIME_MAX: Duration = Duration::from_secs(30);

/// What Docker calls its own registry.
const DOCKER_KEY: &str = "https://index.docker.io/v1/";

/// The name that stands for a token in place of a password.
const TOKEN_USER: &str = "<token>";

/// Credentials for a registry.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Credentials {
    Password {
        user: String,
        password: String,
    },
    /// What a token is given for.
    Refresh(String),
}

/// The credentials that were found, and where they were looked for.
pub(super) struct Search {
    pub(super) found: Option<(Credentials, PathBuf)>,
    pub(super) files: Vec<PathBuf>,
}

impl Credentials {
    /// As the header `Authorization` has them.
    pub(super) fn basic(&self) -> Option<String> {
        match self {
            Self::Password { user, password } => Some(format!("Basic {}", STANDARD.encode(format!("{user}:{password}")))),
            Self::Refresh(_) => None,
        }
    }
}

/// Looks for credentials in the files of podman and docker, the first that has some.
pub(super) fn find(reference: &Reference) -> anyhow::Result<Search> {
    let files = files(&|name| env::var_os(name).map(PathBuf::from).filter(|path| !path.as_os_str().is_empty()));
    for file in &files {
        let in_file = read(file).and_then(|config| config.map_or(Ok(None), |config| in_config(&config, reference)));
        let in_file = in_file.with_context(|| format!("cannot take the credentials from {}", file.display()))?;
        if let Some(credentials) = in_file {
            return Ok(Search { found: Some((credentials, file.clone())), files });
        }
    }
    Ok(Search { found: None, files })
}

fn files(variable: &dyn Fn(&str) -> Option<PathBuf>) -> Vec<PathBuf> {
    // It is meant to replace all others.
    if let Some(file) = variable("REGISTRY_AUTH_FILE") {
        return vec![file];
    }
    let podman = variable("XDG_RUNTIME_DIR").map(|dir| dir.join("containers/auth.json"));
    let docker = variable("DOCKER_CONFIG").or_else(|| variable("HOME").map(|home| home.join(".docker")));
    podman.into_iter().chain(docker.map(|dir| dir.join("config.json"))).collect()
}

/// What is in a file, if it is there.
fn read(path: &Path) -> anyhow::Result<Option<Value>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut text)?;
    anyhow::ensure!(text.len() as u64 <= FILE_BYTES_MAX, "it has more than {} MiB", FILE_BYTES_MAX >> 20);
    // What stands there is not for messages.
    serde_json::from_slice(&text).map(Some).map_err(|error| anyhow::anyhow!("it is no JSON: line {}", error.line()))
}

fn in_config(config: &Value, reference: &Reference) -> anyhow::Result<Option<Credentials>> {
    let host = if reference.is_docker() { "docker.io" } else { &reference.host };
    let key = if reference.is_docker() { DOCKER_KEY } else { host };
    let helper = config["credHelpers"].as_object().and_then(|helpers| helpers.iter().find(|(name, _)| same_host(name, host)));
    let helper = helper.map(|(_, helper)| helper).or_else(|| config.get("credsStore")).and_then(Value::as_str);
    if let Some(helper) = helper.filter(|helper| !helper.is_empty())
        && let Some(found) =
            ask(helper, key).with_context(|| format!("its program docker-credential-{helper} does not answer"))?
    {
        return Ok(Some(found));
    }
    let Some(auths) = config["auths"].as_object() else { return Ok(None) };
    let image = format!("{host}/{}", reference.repository);
    // The longest path that leads to the image.
    let fitting = auths.iter().filter(|(name, _)| same_host(name, host) || leads_to(name, &image));
    let Some((_, entry)) = fitting.max_by_key(|(name, _)| plain(name).len()) else { return Ok(None) };
    in_entry(entry)
}

/// Whether the name of an entry is that of a host.
fn same_host(name: &str, host: &str) -> bool {
    plain(name) == host
}

/// Whether an image lies below the name of an entry.
fn leads_to(name: &str, image: &str) -> bool {
    !name.contains("://") && image.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The name of an entry without what docker once wrote around a host.
fn plain(name: &str) -> &str {
    let plain = match name.split_once("://") {
        Some((_, rest)) => rest.split('/').next().unwrap_or(rest),
        None => name,
    };
    if plain == "index.docker.io" { "docker.io" } else { plain }
}

fn in_entry(entry: &Value) -> anyhow::Result<Option<Credentials>> {
    let text = |name: &str| entry[name].as_str().filter(|text| !text.is_empty());
    if let Some(token) = text("identitytoken") {
        return Ok(Some(Credentials::Refresh(token.to_owned())));
    }
    if let (Some(user), Some(password)) = (text("username"), text("password")) {
        return Ok(Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() }));
    }
    let Some(auth) = text("auth") else { return Ok(None) };
    let decoded = STANDARD.decode(auth).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let split = decoded.as_deref().and_then(|text| text.trim_end_matches('\0').split_once(':'));
    let (user, password) = split.context("an `auth` in it is no name and password in base64")?;
    Ok(Some(Credentials::Password { user: user.to_owned(), password: password.to_owned() }))
}

/// Asks a program of docker's for credentials.
fn ask(helper: &str, key: &str) -> anyhow::Result<Option<Credentials>> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    anyhow::ensure!(helper.chars().all(fits), "that is no name of a program");
    let mut command = Command::new(format!("docker-credential-{helper}"));
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = command.spawn()?;
    let printed = child.stdout.take().context("it has no output").and_then(|output| {
        // One that reads nothing may answer all the same.
        let _ = child.stdin.take().map(|mut input| writeln!(input, "{key}"));
        printed(output)
    });
    if printed.is_err() {
        // It may have ended by itself just now.
        let _ = child.kill();
    }
    // One that goes on without an output is waited for no longer than for all of the image.
    let status = child.wait()?;
    let text = printed?;
    if !status.success() {
        // It has none for this registry, and says so in its own words.
        return Ok(None);
    }
    let answer: Value = serde_json::from_slice(&text).map_err(|_| anyhow::anyhow!("it printed no JSON"))?;
    let (Some(user), Some(secret)) = (answer["Username"].as_str(), answer["Secret"].as_str()) else { return Ok(None) };
    Ok(Some(match user {
        TOKEN_USER => Credentials::Refresh(secret.to_owned()),
        user => Credentials::Password { user: user.to_owned(), password: secret.to_owned() },
    }))
}

/// All that the program prints, if it comes to an end.
fn printed(output: ChildStdout) -> anyhow::Result<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let mut text = Vec::new();
        let outcome = output.take(HELPER_BYTES_MAX + 1).read_to_end(&mut text).map(|_| text);
        // Nobody listens any more if it took too long.
        let _ = sender.send(outcome);
    };
    thread::Builder::new().name("aiohost-helper".to_owned()).spawn(read)?;
    let text =
        receiver.recv_timeout(HELPER_TIME_MAX).map_err(|_| anyhow::anyhow!("it took more than {HELPER_TIME_MAX:?}"))??;
    anyhow::ensure!(text.len() as u64 <= HELPER_BYTES_MAX, "it printed more than {} KiB", HELPER_BYTES_MAX >> 10);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(config: &Value, image: &str) -> Option<String> {
        let reference = Reference::parse(image).expect("a reference");
        match in_config(config, &reference).expect("a configuration")? {
            Credentials::Password { user, password } => Some(format!("{user}:{password}")),
            Credentials::Refresh(token) => Some(token),
        }
    }

    #[test]
    fn the_entry_with_the_longest_path_counts() {
        let auth = |text: &str| json!({ "auth": STANDARD.encode(text) });
        let config = json!({ "auths": {
            "h.io": auth("host:a:b"),
            "h.io/team": auth("team:x"),
            "h.io/team/app": { "username": "app", "password": "y" },
            "https://old.io/v1/": auth("old:x"),
            "https://index.docker.io/v1/": auth("docker:x"),
            "t.io": { "auth": "", "identitytoken": "token" },
            "empty.io": {},
        } });
        for (image, expected) in [
            ("h.io/other", Some("host:a:b")),
            ("h.io/team/other", Some("team:x")),
            ("h.io/team/app:1", Some("app:y")),
            ("h.io/team/application", Some("team:x")),
            ("h.io/teams", Some("host:a:b")),
            ("old.io/a", Some("old:x")),
            ("docker.io/a", Some("docker:x")),
            ("t.io/a", Some("token")),
            ("empty.io/a", None),
            ("h.io:5000/a", None),
            ("sub.h.io/a", None),
        ] {
            assert_eq!(found(&config, image).as_deref(), expected, "{image}");
        }
    }

    #[test]
    fn what_is_damaged_is_told_without_what_is_in_it() {
        let reference = Reference::parse("h.io/a").expect("a reference");
        for auth in ["?", "bm9jb2xvbg=="] {
            let error = in_config(&json!({ "auths": { "h.io": { "auth": auth } } }), &reference).err().expect("it is damaged");
            assert!(!format!("{error:#}").contains(auth), "{error:#}");
        }
        let error = in_config(&json!({ "credsStore": "../evil" }), &reference).err().expect("it is no name");
        assert_eq!(format!("{error:#}"), "its program docker-credential-../evil does not answer: that is no name of a program");
    }

    #[test]
    fn the_files_are_those_of_podman_and_docker() {
        let found = |set: &[(&str, &str)]| {
            let files = files(&|name| Some(set.iter().find(|(key, _)| *key == name)?.1.into()));
            files.iter().map(|file| file.display().to_string()).collect::<Vec<_>>()
        };
        let both = [("XDG_RUNTIME_DIR", "/r"), ("HOME", "/h")];
        assert_eq!(found(&both), ["/r/containers/auth.json", "/h/.docker/config.json"]);
        assert_eq!(found(&[("DOCKER_CONFIG", "/d"), ("HOME", "/h")]), ["/d/config.json"]);
        assert_eq!(found(&[("REGISTRY_AUTH_FILE", "/a.json"), ("HOME", "/h")]), ["/a.json"]);
    }
}
