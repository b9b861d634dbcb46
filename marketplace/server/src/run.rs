//! Serves an application until told to stop.

use crate::{
    App,
    body::admit,
    http::{Site, routes},
};
use actix_web::{App as ActixApp, HttpServer, dev::ServerHandle, middleware::from_fn, web::Data};
use std::{io, net::SocketAddr, sync::Arc, thread::JoinHandle, time::Duration};

/// How long a letter under way may take when the server stops.
const LAST_LETTER: Duration = Duration::from_secs(10);

/// A running server.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub address: SocketAddr,
    handle: ServerHandle,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Running {
    /// Stops: requests in flight get a few seconds.
    pub async fn stop(mut self) -> io::Result<()> {
        self.handle.stop(true).await;
        match self.thread.take() {
            Some(t) => tokio::task::spawn_blocking(move || join(t)).await?,
            None => Ok(()),
        }
    }

    /// Waits until the server ends by itself (SIGINT, SIGTERM).
    pub fn wait(mut self) -> io::Result<()> {
        self.thread.take().map_or(Ok(()), join)
    }
}

fn join(t: JoinHandle<io::Result<()>>) -> io::Result<()> {
    t.join()
        .unwrap_or_else(|_| Err(io::Error::other("the server thread panicked")))
}

/// Binds and serves on a thread of its own: websockets need actix's system.
pub fn run(app: Arc<App>, signals: bool) -> io::Result<Running> {
    let (send, receive) = std::sync::mpsc::channel();
    let thread = std::thread::Builder::new()
        .name("server".into())
        .spawn(move || {
            actix_web::rt::System::new().block_on(async move {
                let (listen, workers) = (app.config.listen.clone(), app.config.workers);
                let settlement = actix_web::rt::spawn(app.clone().settle_forever());
                let (stop, stopped) = tokio::sync::watch::channel(false);
                let mut post = actix_web::rt::spawn(app.clone().post_forever(stopped));
                let told = app.clone();
                let webhooks = actix_web::rt::spawn(app.clone().webhooks_forever());
                let site = Data::new(Site::new(app));
                let server = HttpServer::new(move || {
                    ActixApp::new()
                        .app_data(site.clone())
                        .wrap(from_fn(admit))
                        .configure(routes)
                })
                .workers(workers)
                .shutdown_timeout(3)
                .client_request_timeout(Duration::from_secs(15))
                .bind(listen);
                let mut server = match server {
                    Ok(s) => s,
                    Err(e) => {
                        let _ = send.send(Err(io::Error::new(e.kind(), e.to_string())));
                        return Err(e);
                    }
                };
                if !signals {
                    server = server.disable_signals();
                }
                let address = server.addrs().first().copied();
                // Links in letters, where no other address was given.
                let _ = address.map(|a| told.post.bound.set(a));
                let server = server.run();
                let _ = send.send(
                    address
                        .map(|a| (a, server.handle()))
                        .ok_or_else(|| io::Error::other("bound to no address")),
                );
                let ended = server.await;
                settlement.abort();
                // The letter under way is finished, or its lease says what became of it.
                let _ = stop.send(true);
                if tokio::time::timeout(LAST_LETTER, &mut post).await.is_err() {
                    post.abort();
                }
                webhooks.abort();
                ended
            })
        })?;
    let (address, handle) = receive.recv().map_err(io::Error::other)??;
    Ok(Running {
        address,
        handle,
        thread: Some(thread),
    })
}
