//! One connection while it lasts: frames in, frames out, signs of life (PEER-4,
//! PEER-7).

use crate::{
    error::{Refused, Violation},
    frame::{Header, Kind, encode, read_header, read_payload, skip_payload},
    handshake::Channel,
    hub::Hub,
    state::{Admit, Frames},
};
use std::{sync::Arc, time::Duration};
use thiserror::Error;
use tokio::{
    io::{AsyncRead, AsyncWrite, AsyncWriteExt},
    sync::{mpsc, oneshot},
    time::{Instant, timeout},
};
use veilbourse_core::digest::Digest;

/// Why a connection ended.
#[derive(Debug, Error)]
enum End {
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
    #[error("nothing came for {0:?} (PEER-7)")]
    Idle(Duration),
    #[error("a frame took longer than {0:?} (PEER-7)")]
    Frame(Duration),
    #[error(transparent)]
    Broke(#[from] Violation),
    #[error("another connection took its place, or this node dropped the peer")]
    Replaced,
}

/// Runs a connection to its end.
pub(crate) async fn run(hub: &Hub, channel: Channel) -> Result<(), Refused> {
    let peer = channel.peer;
    let (sender, queue) = mpsc::channel(hub.limits.outgoing);
    let (lives, gone) = oneshot::channel();
    let frames = Frames {
        queue: sender,
        _lives: lives,
    };
    let generation = hub
        .attach(peer, frames, Instant::now())
        .map_err(|left| Refused::Barred { peer, left })?;
    let (from, to) = tokio::io::split(channel.stream);
    let end = tokio::select! {
        end = read(hub, (peer, generation), from) => end,
        end = write(hub, queue, to) => end,
        // PEER-7: it may be blocked on a peer that does not read; a peer that
        // calls again and again would hold as many connections.
        _ = gone => Err(End::Replaced),
    };
    let why = match end {
        Ok(()) => "closed".into(),
        Err(e) => {
            if let End::Broke(v) = &e {
                hub.violated(peer, v, Instant::now());
            }
            e.to_string()
        }
    };
    hub.detach(peer, generation, why);
    Ok(())
}

async fn read(hub: &Hub, from: (u8, u64), mut io: impl AsyncRead + Unpin) -> Result<(), End> {
    let (idle, whole) = (hub.timing.idle, hub.timing.frame);
    loop {
        let bytes = timeout(idle, read_header(&mut io)).await;
        let header = Header::read(&bytes.map_err(|_| End::Idle(idle))??)?;
        match hub.admit(from, &header, Instant::now())? {
            Admit::Stale => return Err(End::Replaced),
            Admit::Discard => timeout(whole, skip_payload(&mut io, header.length))
                .await
                .map_err(|_| End::Frame(whole))??,
            Admit::Take => {
                let payload = timeout(whole, read_payload(&mut io, header.length)).await;
                let payload = payload.map_err(|_| End::Frame(whole))??;
                hub.deliver(from, &header, payload, Instant::now())?;
            }
        }
    }
}

async fn write(
    hub: &Hub,
    mut queue: mpsc::Receiver<Arc<[u8]>>,
    mut io: impl AsyncWrite + Unpin,
) -> Result<(), End> {
    let (idle, whole) = (hub.timing.idle, hub.timing.frame);
    let alive = encode(Kind::Alive, 0, &Digest::default(), &[]);
    loop {
        let frame = match timeout(idle / 3, queue.recv()).await {
            Ok(Some(frame)) => frame,
            Ok(None) => return Err(End::Replaced),
            Err(_) => Arc::clone(&alive),
        };
        let late = |_| End::Frame(whole);
        // Each frame has its time: a connection may be busy for as long as it is.
        let mut next = Some(frame);
        while let Some(frame) = next {
            timeout(whole, io.write_all(&frame)).await.map_err(late)??;
            next = queue.try_recv().ok();
        }
        timeout(whole, io.flush()).await.map_err(late)??;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        members::{Member, Members, PublicKey},
        settings::{Limits, Timing},
    };
    use tokio::{
        io::{AsyncReadExt, duplex},
        time::sleep,
    };

    #[tokio::test(start_paused = true)]
    async fn a_connection_may_be_busy_for_longer_than_a_frame_takes() {
        // PEER-7: the peer reads two frames a second, for fifty seconds.
        let member = |number| Member {
            number,
            key: PublicKey([number; 32]),
            address: String::new(),
        };
        let members = Members::new(vec![member(0), member(1)]).unwrap();
        let timing = Timing {
            frame: Duration::from_secs(3),
            ..Timing::default()
        };
        let hub = Hub::new(0, &members, Limits::default(), timing);
        let (frames, queue) = mpsc::channel(100);
        for _ in 0..100 {
            frames.try_send(vec![0; 1000].into()).unwrap();
        }
        drop(frames);
        let (near, mut far) = duplex(1000);
        let reader = tokio::spawn(async move {
            let mut frame = [0; 1000];
            let mut read = 0;
            while far.read_exact(&mut frame).await.is_ok() {
                read += 1;
                sleep(Duration::from_millis(500)).await;
            }
            read
        });
        let end = write(&hub, queue, near).await;
        assert!(matches!(end, Err(End::Replaced)), "{end:?}");
        assert_eq!(reader.await.unwrap(), 100);
    }
}
