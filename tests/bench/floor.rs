//! The floor of an API: a bare handler, in a process of its own like the host, that answers the
//! same bytes.

use anyhow::Context;
use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// The argument that makes this program the floor.
pub const WORD: &str = "--serve-floor";

/// The process that answers; ends with this value.
pub struct Floor {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Floor {
    /// Starts a process that answers `GET /api/v1/tasks/{id}` with `body`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(body: &[u8]) -> anyhow::Result<Self> {
        let mut child = Command::new(std::env::current_exe()?)
            .arg(WORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        child.stdin.take().context("no stdin")?.write_all(body)?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().context("no stdout")?).read_line(&mut line)?;
        let address = line
            .trim()
            .parse()
            .context("the floor did not say where it listens")?;
        Ok(Self { child, address })
    }
}

impl Drop for Floor {
    fn drop(&mut self) {
        // If it ended by itself there is nothing left to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What the process does: reads the body, says where it listens, answers.
///
/// # Errors
/// When it cannot listen.
pub fn serve() -> anyhow::Result<()> {
    let mut body = Vec::new();
    std::io::stdin().read_to_end(&mut body)?;
    let body = Bytes::from(body);
    let handler = move || {
        let body = body.clone();
        async move {
            (
                [(CONTENT_TYPE, HeaderValue::from_static("application/json"))],
                body,
            )
        }
    };
    let router = Router::new().route("/api/v1/tasks/{id}", get(handler));
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await?;
            println!("{}", listener.local_addr()?);
            axum::serve(listener, router).await?;
            Ok(())
        })
}
