//! How a peer is reached, and how often (PEER-7).

use crate::{
    error::Refused,
    handshake::{BoxIo, Identity},
    hub::Hub,
    link,
    members::Member,
};
use std::{future::Future, pin::Pin, sync::Arc, time::Duration};
use tokio::{
    net::TcpStream,
    time::{Instant, sleep, timeout},
};

/// A stream that is on its way.
pub type Dialled = Pin<Box<dyn Future<Output = std::io::Result<BoxIo>> + Send>>;

/// Opens a stream to a member; TCP outside of tests.
pub trait Dial: Send + Sync + 'static {
    /// To this member.
    fn dial(&self, member: &Member) -> Dialled;
}

/// TCP to the member's address.
#[derive(Debug, Clone, Copy)]
pub struct Tcp;

impl Dial for Tcp {
    fn dial(&self, member: &Member) -> Dialled {
        let address = member.address.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(Box::new(stream) as BoxIo)
        })
    }
}

/// Waits between attempts: doubling, bounded, from the start again after a
/// connection that lasted.
#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    most: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(first: Duration, most: Duration) -> Self {
        Self {
            first,
            most,
            next: first.min(most),
        }
    }
    pub(crate) fn wait(&mut self, lasted: Duration) -> Duration {
        if lasted > self.most {
            self.next = self.first.min(self.most);
        }
        let wait = self.next;
        self.next = wait.saturating_mul(2).min(self.most);
        wait
    }
}

/// Keeps a connection to one peer for as long as the node runs.
pub(crate) async fn keep(hub: Arc<Hub>, identity: Identity, member: Member, dial: Arc<dyn Dial>) {
    let timing = hub.timing;
    let mut backoff = Backoff::new(timing.backoff, timing.backoff_most);
    loop {
        let called = timeout(timing.handshake, async {
            let io = dial.dial(&member).await.map_err(Refused::Io)?;
            identity.connect(io, member.number).await
        });
        let limit = timing.handshake;
        let called = called.await.unwrap_or(Err(Refused::Late { limit }));
        let since = Instant::now();
        let ended = match called {
            Ok(channel) => link::run(&hub, channel).await,
            Err(e) => Err(e),
        };
        if let Err(e) = ended {
            hub.failed(member.number, e.to_string());
        }
        sleep(backoff.wait(since.elapsed())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_are_bounded() {
        // PEER-7
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(100), ms(500));
        let waits: Vec<_> = (0..5).map(|_| backoff.wait(ms(0))).collect();
        assert_eq!(waits, [ms(100), ms(200), ms(400), ms(500), ms(500)]);
        assert_eq!(backoff.wait(ms(501)), ms(100));
    }
}
