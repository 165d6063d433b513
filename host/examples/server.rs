//! An HTTP server that runs an untrusted plugin for each request: a directory for each tenant, limits, metrics, and a clean shutdown.
//!
//! ```sh
//! cargo run --release --example server -- PLUGIN.wasm ROOT [ADDRESS [SECONDS]]
//! curl --data-binary @input http://127.0.0.1:8080/run/anna?--verbose   # a directory ROOT/anna, if it is there
//! curl http://127.0.0.1:8080/metrics
//! ```
//!
//! The body of a request is the plugin's standard input, the words of the query are its arguments, and the answer is what it writes.
//! Its exit status is in the header `exit-status`.

use std::env;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aiohost::{Host, Limits, Plugin, Problem, ProblemKind, RequestLimits, Rights, Stats, Stdin, Stdout};
use anyhow::Context as _;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// Bytes of an answer.
const OUTPUT_BYTES_MAX: usize = 1 << 20;

/// What every handler shares.
struct App {
    host: Host,
    plugin: Plugin,
    root: PathBuf,
    runs: AtomicU64,
    failed: AtomicU64,
    stats: Mutex<Stats>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let mut arguments = env::args().skip(1);
    let (Some(plugin), Some(root)) = (arguments.next(), arguments.next()) else {
        anyhow::bail!("give a plugin, and a directory with a directory for each tenant");
    };
    let address = arguments.next().unwrap_or_else(|| "127.0.0.1:8080".to_owned());
    let seconds = arguments.next().map_or(Ok(10.0), |seconds| seconds.parse()).context("the seconds are no number")?;

    // Once: what every guest may have. One host serves all tenants.
    let limits = Limits {
        memory_bytes_max: 64 << 20,
        timeout: Some(Duration::from_secs_f64(seconds)),
        requests: RequestLimits { open_files_max: 64, ..RequestLimits::default() },
        ..Limits::default()
    };
    let host = Host::builder().limits(limits).build()?;
    // Loading compiles, which takes a while: not on a thread that serves others.
    let loading = host.clone();
    let plugin = tokio::task::spawn_blocking(move || loading.load(plugin)).await??;
    let app = Arc::new(App {
        host: host.clone(),
        plugin,
        root: root.into(),
        runs: AtomicU64::new(0),
        failed: AtomicU64::new(0),
        stats: Mutex::default(),
    });
    let router = Router::new().route("/run/{tenant}", post(run)).route("/metrics", get(metrics)).with_state(app);
    let listener = TcpListener::bind(&address).await.with_context(|| format!("cannot listen on {address}"))?;
    println!("listening on {}", listener.local_addr()?);

    // Requests that are under way are answered, and then their workers end.
    let mut terminate = signal(SignalKind::terminate())?;
    let ended = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = tokio::signal::ctrl_c() => {}
        }
    };
    axum::serve(listener, router).with_graceful_shutdown(ended).await?;
    anyhow::ensure!(host.shutdown_async(Duration::from_secs(10)).await, "the workers did not end in time");
    println!("ended");
    Ok(())
}

async fn run(
    State(app): State<Arc<App>>,
    Path(tenant): Path<String>,
    RawQuery(query): RawQuery,
    body: Bytes,
) -> Result<Response, (StatusCode, String)> {
    app.runs.fetch_add(1, Ordering::Relaxed);
    let outcome = app.run(&tenant, query.as_deref().unwrap_or_default(), body).await;
    outcome.map_err(|(status, words)| {
        app.failed.fetch_add(1, Ordering::Relaxed);
        (status, words + "\n")
    })
}

impl App {
    async fn run(&self, tenant: &str, query: &str, body: Bytes) -> Result<Response, (StatusCode, String)> {
        // The name comes from a stranger: one plain name of a directory, and nothing that leads elsewhere.
        let is_plain = !tenant.is_empty() && tenant.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
        let dir = self.root.join(tenant);
        if !is_plain || !dir.is_dir() {
            return Err((StatusCode::NOT_FOUND, format!("there is no tenant {tenant:?}")));
        }
        let (stdout, output) = Stdout::captured(OUTPUT_BYTES_MAX);
        let guest = self.plugin.guest().args(query.split('&').filter(|word| !word.is_empty()));
        let guest = guest.dir(dir, ".", Rights::ReadWrite).stdin(Stdin::bytes(body)).stdout(stdout);
        let mut guest = guest.build().map_err(|problem| refusal(&problem))?;
        let outcome = guest.run().await;
        self.note(guest.stats());
        let status = outcome.map_err(|problem| refusal(&problem))?;
        Ok(([("exit-status", status.to_string())], output.bytes()).into_response())
    }

    fn note(&self, stats: Stats) {
        let mut sums = self.stats.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, one) in stats {
            *sums.entry(name).or_default() += &one;
        }
    }
}

/// Whose fault it was, and what to say. What the application could do about it is for its log, and not for a stranger.
fn refusal(problem: &Problem) -> (StatusCode, String) {
    let status = match problem.kind() {
        ProblemKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
        ProblemKind::Limit => StatusCode::INSUFFICIENT_STORAGE,
        ProblemKind::Trap => StatusCode::BAD_GATEWAY,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    eprintln!("{problem}; {}", problem.help().unwrap_or_default());
    (status, problem.to_string())
}

/// In the text format of Prometheus.
async fn metrics(State(app): State<Arc<App>>) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: u64| {
        // Writing to a string does not fail.
        let _ = writeln!(text, "{name} {value}");
    };
    line("plugin_runs_total", app.runs.load(Ordering::Relaxed));
    line("plugin_runs_failed_total", app.failed.load(Ordering::Relaxed));
    let counters = app.host.counters();
    line("aiohost_requests_queued", counters.queued);
    line("aiohost_requests_running", counters.running);
    let workers = app.host.workers();
    let number = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    line("aiohost_workers", number(workers.workers()));
    line("aiohost_bytes_in_flight", number(workers.bytes_in_flight()));
    line("aiohost_open_files", number(workers.open_files()));
    for (name, stats) in &*app.stats.lock().unwrap_or_else(PoisonError::into_inner) {
        line(&format!("aiohost_requests_total{{request=\"{name}\"}}"), stats.count);
        line(&format!("aiohost_requests_failed_total{{request=\"{name}\"}}"), stats.errors);
    }
    text
}
