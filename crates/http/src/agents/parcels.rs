//! What an agent asked for, on its way: packs for those that take them, else whole blobs and deltas one by one.
//!
//! Reading, comparing and compressing happen beside the line; only what is ready is sent over it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tenfold_app::App;
use tenfold_app::deploys::{Delta, Pack};
use tenfold_deploys::Digest;
use tenfold_protocols::agent::{BlobDigest, CHUNK_BYTES_MAX, PackPart, ToAgent, encode_chunk};
use tokio::io::AsyncReadExt;
use tokio::sync::mpsc;

use super::{Message, Sink, Told, chunks, say, send as send_frame, text_of};

/// A blob an agent asks for, and what it has in its place.
pub(super) type Wanted = (BlobDigest, Option<BlobDigest>);

/// Ready and not sent yet.
pub(super) const READY_MAX: usize = 2;

/// Orders wait for at most one.
pub(super) enum Parcel {
    Pack(Arc<Pack>),
    Delta { blob: Digest, base: Digest, delta: Arc<Delta> },
    Whole(Digest),
    Gone(Digest),
}

/// Makes parcels of what is asked for, until nobody asks or takes any more. `waiting` counts the blobs that are still to come.
pub(super) async fn prepare(
    app: &App,
    packs: bool,
    mut wanted: mpsc::UnboundedReceiver<Vec<Wanted>>,
    ready: mpsc::Sender<Parcel>,
    waiting: &AtomicUsize,
) {
    while let Some(asked) = wanted.recv().await {
        let count = asked.len().max(1);
        let digests = |(blob, base): Wanted| (Digest::from_bytes(blob.0), base.map(|b| Digest::from_bytes(b.0)));
        // deltas take the longest to make, so the others go first
        let (over, plain): (Vec<_>, Vec<_>) = asked.into_iter().map(digests).partition(|(_, base)| base.is_some());
        for some in [plain, over] {
            let made = if packs { packed(app, some, &ready).await } else { one_by_one(app, some, &ready).await };
            if made.is_none() {
                return;
            }
        }
        waiting.fetch_sub(count, Ordering::Relaxed);
    }
}

/// Nothing when nobody takes them any more.
async fn packed(app: &App, wanted: Vec<(Digest, Option<Digest>)>, ready: &mpsc::Sender<Parcel>) -> Option<()> {
    let plan = app.pack_plan(wanted).await;
    for gone in plan.gone {
        ready.send(Parcel::Gone(gone)).await.ok()?;
    }
    for parts in plan.packs {
        if let Some(pack) = app.blob_pack(parts.clone()).await {
            ready.send(Parcel::Pack(pack)).await.ok()?;
            continue;
        }
        // a file of it went away meanwhile: those that are here come by themselves, and the other is said to be gone
        let mut blobs: Vec<Digest> = parts.into_iter().map(|part| part.blob).collect();
        blobs.dedup();
        for blob in blobs {
            ready.send(Parcel::Whole(blob)).await.ok()?;
        }
    }
    for (blob, base, delta) in plan.deltas {
        ready.send(Parcel::Delta { blob, base, delta }).await.ok()?;
    }
    Some(())
}

async fn one_by_one(app: &App, wanted: Vec<(Digest, Option<Digest>)>, ready: &mpsc::Sender<Parcel>) -> Option<()> {
    for (blob, base) in wanted {
        let made = match base {
            Some(base) => app.blob_delta(base, blob).await.map(|delta| Parcel::Delta { blob, base, delta }),
            None => None,
        };
        ready.send(made.unwrap_or(Parcel::Whole(blob))).await.ok()?;
    }
    Some(())
}

pub(super) async fn send(app: &App, sink: &mut Sink, told: &mut Told, parcel: Parcel) -> Result<(), String> {
    let digest = |digest: Digest| BlobDigest(*digest.bytes());
    match parcel {
        Parcel::Pack(made) => {
            let part = |p: &tenfold_app::deploys::Part| PackPart {
                blob: digest(p.blob),
                bytes: p.len,
                base: p.base.map(digest),
            };
            let (pack, size) = (digest(made.digest), made.bytes.len() as u64);
            let parts = made.parts.iter().map(part).collect();
            say(app, sink, told, &ToAgent::Pack { pack, size, parts }).await?;
            chunks(sink, pack, &made.bytes).await?;
            app.blob_sent("pack", size);
            Ok(())
        }
        Parcel::Delta { blob, base, delta: made } => {
            let (delta, size) = (digest(made.digest), made.bytes.len() as u64);
            let announced = ToAgent::Delta { blob: digest(blob), base: digest(base), delta, size };
            send_frame(sink, text_of(&announced)).await?;
            chunks(sink, delta, &made.bytes).await?;
            app.blob_sent("delta", size);
            Ok(())
        }
        Parcel::Whole(blob) => send_whole(app, sink, blob).await,
        Parcel::Gone(blob) => send_frame(sink, text_of(&ToAgent::NoBlob { digest: digest(blob) })).await,
    }
}

/// One blob in chunks.
async fn send_whole(app: &App, sink: &mut Sink, blob: Digest) -> Result<(), String> {
    let digest = BlobDigest(*blob.bytes());
    let Ok(mut file) = tokio::fs::File::open(&app.blobs().path(blob)).await else {
        return send_frame(sink, text_of(&ToAgent::NoBlob { digest })).await;
    };
    let mut chunk = vec![0; CHUNK_BYTES_MAX];
    let mut sent = 0;
    loop {
        let n = file.read(&mut chunk).await.map_err(|e| e.to_string())?;
        if n == 0 {
            app.blob_sent("whole", sent);
            return Ok(());
        }
        sent += n as u64;
        send_frame(sink, Message::Binary(encode_chunk(digest, &chunk[..n]).into())).await?;
    }
}
