//! `key-node --metrics`: what a node counts (Prometheus' text format 0.0.4) and
//! how it is (JSON), over plain HTTP, for its operator. Nothing in it is secret,
//! and it takes nothing in; it is for loopback or a network of the operator's.

use actix_web::{
    App, HttpResponse, HttpServer,
    dev::ServerHandle,
    web::{self, Data},
};
use anyhow::{Context, Result};
use serde_json::Value;
use std::{
    io,
    net::{SocketAddr, TcpListener},
    sync::Arc,
    thread::JoinHandle,
    time::Duration,
};

/// Connections at once: those who look are few, and the node needs its sockets.
const MAX_CONNECTIONS: usize = 64;
/// How long a request's head may take.
const REQUEST: Duration = Duration::from_secs(5);

/// Says how the node is now; measures what is measured when somebody looks.
type Health = dyn Fn() -> Value + Send + Sync;

/// A socket that is open, and nothing answers yet. From here on is counted.
pub struct Bound {
    pub address: SocketAddr,
    listener: TcpListener,
}

impl Bound {
    /// Opens it, before the node takes work.
    pub fn at(address: SocketAddr) -> Result<Self> {
        let open = || {
            let listener = TcpListener::bind(address)?;
            let address = listener.local_addr()?;
            Ok::<_, io::Error>(Self { address, listener })
        };
        let bound = open().with_context(|| format!("--metrics: cannot listen at {address}"))?;
        let _ = veilbourse_server::recorder();
        Ok(bound)
    }

    /// Answers, on a thread of its own.
    pub fn serve(self, health: impl Fn() -> Value + Send + Sync + 'static) -> Result<Watched> {
        let health: Arc<Health> = Arc::new(health);
        let (send, receive) = std::sync::mpsc::channel();
        let listener = self.listener;
        let thread = std::thread::Builder::new()
            .name("metrics".into())
            .spawn(move || {
                actix_web::rt::System::new().block_on(async move {
                    let server = HttpServer::new(move || {
                        App::new()
                            .app_data(Data::from(Arc::clone(&health)))
                            .route("/metrics", web::get().to(metrics))
                            .route("/health", web::get().to(healthy))
                    })
                    .workers(1)
                    .max_connections(MAX_CONNECTIONS)
                    .client_request_timeout(REQUEST)
                    .shutdown_timeout(1)
                    .disable_signals()
                    .listen(listener)?
                    .run();
                    let _ = send.send(server.handle());
                    server.await
                })
            })?;
        match receive.recv() {
            Ok(handle) => Ok(Watched { handle, thread }),
            Err(_) => {
                let ended = thread.join().unwrap_or(Ok(()));
                ended.context("--metrics")?;
                anyhow::bail!("--metrics: its thread ended")
            }
        }
    }
}

/// Answers until it is stopped.
pub struct Watched {
    handle: ServerHandle,
    thread: JoinHandle<io::Result<()>>,
}

impl Watched {
    pub async fn stop(self) {
        self.handle.stop(true).await;
        let _ = tokio::task::spawn_blocking(move || self.thread.join()).await;
    }
}

async fn metrics(health: Data<Health>) -> HttpResponse {
    // Measures.
    let _ = health();
    HttpResponse::Ok()
        .content_type("text/plain; version=0.0.4")
        .body(veilbourse_server::recorder().render())
}

async fn healthy(health: Data<Health>) -> HttpResponse {
    HttpResponse::Ok().json(health())
}
