//! A server of HTTP that answers as a test wants, also in ways in which no server should.
//!
//! What it has for TLS was made once by openssl, for a hundred years: an authority, whose key is gone, and a certificate for
//! `registry.example`, which is no host of anybody's.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};

/// A server, which ends with the test.
pub(crate) struct Server {
    /// The host and the port.
    pub(crate) host: String,
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Request>>>,
    is_over: Arc<AtomicBool>,
    accepting: Option<JoinHandle<()>>,
}

/// What was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// As `GET /v2/a/blobs/b`, with the query.
    pub(crate) line: String,
    pub(crate) authorization: Option<String>,
    pub(crate) body: String,
}

/// An answer.
pub(crate) struct Reply {
    status: u16,
    headers: String,
    body: Content,
}

enum Content {
    Whole(Vec<u8>),
    /// As much, of so many bytes.
    Cut(Vec<u8>, usize),
    /// A byte again and again.
    Endless(u8),
    /// Nothing at all, and no header either.
    Gone,
}

impl Reply {
    pub(crate) fn new(status: u16, content: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: String::new(), body: Content::Whole(content.into()) }
    }

    pub(crate) fn with(mut self, header: &str, value: &str) -> Self {
        self.headers.push_str(&format!("{header}: {value}\r\n"));
        self
    }

    /// The same, but the connection ends before its end.
    pub(crate) fn cut(self, length: usize) -> Self {
        let Content::Whole(mut content) = self.body else { panic!("it is not whole") };
        let whole = content.len();
        content.truncate(length);
        Self { body: Content::Cut(content, whole), ..self }
    }

    pub(crate) fn endless(byte: u8) -> Self {
        Self { status: 200, headers: String::new(), body: Content::Endless(byte) }
    }

    pub(crate) fn gone() -> Self {
        Self { status: 0, headers: String::new(), body: Content::Gone }
    }

    /// Fails if nobody listens any more.
    fn send(self, to: &mut impl Write) -> std::io::Result<()> {
        let (length, content) = match self.body {
            Content::Whole(content) => (Some(content.len()), content),
            Content::Cut(content, whole) => (Some(whole), content),
            Content::Endless(byte) => (None, vec![byte; 1 << 16]),
            Content::Gone => return Ok(()),
        };
        let length_header = length.map_or_else(String::new, |length| format!("Content-Length: {length}\r\n"));
        write!(to, "HTTP/1.1 {} x\r\nConnection: close\r\n{length_header}{}\r\n", self.status, self.headers)?;
        to.write_all(&content)?;
        while length.is_none() {
            to.write_all(&content)?;
        }
        to.flush()
    }
}

impl Server {
    /// Starts one on this machine.
    pub(crate) fn start(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        Self::start_as(Some, reply)
    }

    /// Starts one that is a proxy, and behind it `registry.example` with TLS.
    pub(crate) fn start_with_tls(reply: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("TLS 1.3");
        let certificate = CertificateDer::from_pem_file(tls_file("server.pem")).expect("a certificate");
        let key = PrivateKeyDer::from_pem_file(tls_file("server.key")).expect("a key");
        let config = Arc::new(config.with_no_client_auth().with_single_cert(vec![certificate], key).expect("they fit"));
        let behind = move |stream: TcpStream| {
            let (request, mut stream) = read(stream)?;
            (request.line == "CONNECT registry.example:443").then_some(())?;
            write!(stream, "HTTP/1.1 200 x\r\n\r\n").ok()?;
            Some(StreamOwned::new(ServerConnection::new(Arc::clone(&config)).ok()?, stream))
        };
        Self::start_as(behind, reply)
    }

    /// Starts one for what this makes of a connection.
    fn start_as<S: Read + Write>(
        stream_of: impl Fn(TcpStream) -> Option<S> + Send + Sync + 'static,
        reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it has one");
        let asked: Arc<Mutex<Vec<Request>>> = Arc::default();
        let is_over = Arc::new(AtomicBool::new(false));
        let (own_asked, own_is_over) = (Arc::clone(&asked), Arc::clone(&is_over));
        let both = Arc::new((stream_of, reply));
        let accepting = thread::spawn(move || {
            for stream in listener.incoming() {
                if own_is_over.load(Ordering::Relaxed) {
                    break;
                }
                let (asked, both) = (Arc::clone(&own_asked), Arc::clone(&both));
                let Ok(stream) = stream else { continue };
                thread::spawn(move || {
                    let (stream_of, reply) = &*both;
                    let Some((request, mut stream)) = stream_of(stream).and_then(read) else { return };
                    asked.lock().expect("nobody panicked").push(request.clone());
                    // The program may have seen enough of it.
                    let _ = reply(&request).send(&mut stream);
                });
            }
        });
        Self { host: address.to_string(), address, asked, is_over, accepting: Some(accepting) }
    }

    /// What it was asked for up to now.
    pub(crate) fn asked(&self) -> Vec<Request> {
        self.asked.lock().expect("nobody panicked").clone()
    }

    /// The lines of that.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|request| request.line).collect()
    }
}

impl Drop for Server {
    /// Nobody is let in any more.
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        let _ = self.accepting.take().map(JoinHandle::join);
    }
}

/// A file for TLS.
pub(crate) fn tls_file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/registry/tls").join(name)
}

fn read<S: Read>(stream: S) -> Option<(Request, S)> {
    let mut reader = BufReader::new(stream);
    let mut line = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|length| *length > 0)?;
        Some(line.trim_end().to_owned())
    };
    let first = line()?;
    let (mut authorization, mut length) = (None, 0);
    loop {
        let header = line()?;
        let Some((name, value)) = header.split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "authorization" => authorization = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let line = first.trim_end_matches(" HTTP/1.1").to_owned();
    Some((Request { line, authorization, body: String::from_utf8(body).ok()? }, reader.into_inner()))
}
