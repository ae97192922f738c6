//! Prometheus remote read: samples as they are, for another Prometheus to evaluate over.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenfold_app::App;
use tenfold_app::metrics::EachSeries;
use tenfold_protocols::remote_read::{PLAIN_BYTES_MAX, decode};
use tenfold_protocols::remote_read::{ReadQuery, ReadRequest, frame, put_result_series, response};
use tenfold_protocols::remote_write::{compress, decompress};
use tenfold_protocols::wire_out::Writer;
use tenfold_types::{ErrorCode, Fault};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Largest answer that is made as a whole, before compression. A stream has no such limit.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// Samples of one request.
const SAMPLES_MAX: usize = 50_000_000;
/// Frames that wait for a slow reader.
const FRAMES_AHEAD: usize = 16;

/// Matching samples by Prometheus remote read: snappy-compressed protobuf, or a stream of frames with coded chunks where the
/// asker takes that.
#[utoipa::path(post, path = "/api/v1/read", request_body(content = Vec<u8>, content_type = "application/x-protobuf"), responses((status = 200, content_type = "application/x-protobuf")))]
pub(super) async fn read(State(app): State<App>, request: Request) -> Response {
    match answer(app, request).await {
        Ok(response) => response,
        Err(fault) => {
            let status = StatusCode::from_u16(fault.code.http_status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            (status, fault.message).into_response()
        }
    }
}

async fn answer(app: App, request: Request) -> Result<Response, Fault> {
    let body = crate::push::body(&app, request, PLAIN_BYTES_MAX).await?;
    let bad = |message: String| Fault::new(ErrorCode::BadRequest, message);
    let plain = decompress(&body).map_err(|e| bad(e.to_string()))?;
    if plain.len() > PLAIN_BYTES_MAX {
        return Err(Fault::new(ErrorCode::TooLarge, format!("the request is larger than {PLAIN_BYTES_MAX} bytes")));
    }
    let request = decode(&plain).map_err(|e| bad(e.to_string()))?;
    if request.streamed { stream(app, request).await } else { whole(app, request).await }
}

/// Requests that read at one time.
const READS_MAX: usize = 4;
/// A reader that takes no frame for so long is given up.
const FRAME_TIMEOUT: Duration = Duration::from_secs(30);

static READS: LazyLock<Arc<Semaphore>> = LazyLock::new(|| Arc::new(Semaphore::new(READS_MAX)));

/// Reading holds a thread: only so many at a time, and nobody waits for a place for ever.
async fn place() -> Result<OwnedSemaphorePermit, Fault> {
    match tokio::time::timeout(FRAME_TIMEOUT, READS.clone().acquire_owned()).await {
        Ok(Ok(place)) => Ok(place),
        _ => Err(Fault::unavailable(format!("{READS_MAX} remote reads are under way")).advice("try again")),
    }
}

async fn whole(app: App, request: ReadRequest) -> Result<Response, Fault> {
    let place = place().await?;
    let work = move || {
        let _place = place;
        let (mut results, mut bytes, mut samples) = (Vec::new(), 0, 0);
        for query in &request.queries {
            let mut result = Writer::default();
            select(&app, query, &mut samples, &mut |labels, floats, histograms| {
                put_result_series(&mut result, labels, floats, histograms);
                if bytes + result.len() > ANSWER_BYTES_MAX {
                    return Err(Fault::invalid(format!("the answer is larger than {ANSWER_BYTES_MAX} bytes"))
                        .advice("ask for less, or for a stream"));
                }
                Ok(true)
            })?;
            bytes += result.len();
            results.push(result);
        }
        compress(&response(results)).map_err(|e| Fault::internal(e.to_string()))
    };
    let body = tokio::task::spawn_blocking(work).await.map_err(|_| Fault::internal("reading ended in a panic"))??;
    let headers = [(header::CONTENT_TYPE, "application/x-protobuf"), (header::CONTENT_ENCODING, "snappy")];
    Ok((headers, body).into_response())
}

async fn stream(app: App, request: ReadRequest) -> Result<Response, Fault> {
    let (send, mut frames) = mpsc::channel::<Result<Bytes, Fault>>(FRAMES_AHEAD);
    let (place, runtime) = (place().await?, tokio::runtime::Handle::current());
    tokio::task::spawn_blocking(move || {
        let _place = place;
        // A reader that went away, or stands still, wants no more.
        let give =
            |frame| runtime.block_on(tokio::time::timeout(FRAME_TIMEOUT, send.send(frame))).is_ok_and(|r| r.is_ok());
        let mut samples = 0;
        for (number, query) in request.queries.iter().enumerate() {
            let done = select(&app, query, &mut samples, &mut |labels, floats, histograms| {
                let frame = frame(number, labels, floats, histograms);
                Ok(frame.is_empty() || give(Ok(frame.into())))
            });
            if let Err(fault) = done {
                give(Err(fault));
                return;
            }
        }
    });
    // What goes wrong before the first frame can still be said in plain words.
    let first = match frames.recv().await {
        Some(Err(fault)) => return Err(fault),
        first => first.and_then(Result::ok),
    };
    let rest = futures_util::stream::unfold(frames, |mut frames| async { frames.recv().await.map(|f| (f, frames)) });
    let all = futures_util::StreamExt::chain(futures_util::stream::iter(first.map(Ok)), rest);
    let kind = "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse";
    Ok(([(header::CONTENT_TYPE, kind)], Body::from_stream(all)).into_response())
}

/// Hands each matching series to `each`, with the labels of the server, in the order of their labels, until it wants no more.
fn select(app: &App, query: &ReadQuery, samples: &mut usize, each: EachSeries<'_>) -> Result<(), Fault> {
    let (from, to, external) = (query.start_ms, query.end_ms, app.settings.alerts.external());
    app.metrics.read_series(&query.matchers, from, to, &external, &mut |labels, floats, histograms| {
        *samples += floats.len() + histograms.len();
        if *samples > SAMPLES_MAX {
            return Err(Fault::invalid(format!("the request reads more than {SAMPLES_MAX} samples"))
                .advice("ask for less time or fewer series"));
        }
        each(labels, floats, histograms)
    })
}
