//! A server that metrics are pushed to.

use axum::body::{Body, Bytes, to_bytes};
use axum::http::{HeaderMap, Request, StatusCode, header};
use tenfold_app::people::TokenKind;
use tenfold_promql::Value;
use tenfold_types::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt;

use crate::common::World;

pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub bytes: Bytes,
}

impl Answer {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).trim().to_owned()
    }
}

impl World {
    pub async fn metrics_token(&self) -> String {
        self.token(TokenKind::Metrics, None).await
    }

    pub async fn post(&self, path: &str, token: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Answer {
        let mut request = Request::post(path);
        if !token.is_empty() {
            request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body)).expect("a request");
        let response = self.router.clone().oneshot(request).await.expect("an answer");
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = to_bytes(response.into_body(), 1 << 24).await.expect("a body that ends");
        Answer { status, headers, bytes }
    }

    /// Series and values of an instant query.
    pub fn values(&self, expr: &str, at_ms: i64) -> Vec<(String, f64)> {
        match self.app.metrics.query_instant(expr, Timestamp(at_ms)).expect("the query is right") {
            Value::Vector(v) => v.iter().filter_map(|s| Some((s.labels.to_string(), s.value.float()?))).collect(),
            other => panic!("{other:?}"),
        }
    }
}

/// The server on a port of its own, and word of every request that was answered.
pub struct Listening {
    pub address: std::net::SocketAddr,
    answered: mpsc::UnboundedReceiver<(String, StatusCode)>,
    stop: CancellationToken,
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl Listening {
    pub async fn start(world: &World) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        let (tell, answered) = mpsc::unbounded_channel();
        let router = world.router.clone();
        let stop = CancellationToken::new();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (router, tell) = (router.clone(), tell.clone());
            async move {
                let path = request.uri().path().to_owned();
                let response = router.oneshot(request).await?;
                let _ = tell.send((path, response.status()));
                Ok::<_, std::convert::Infallible>(response)
            }
        });
        tokio::spawn(tenfold_http::server::serve(listener, service, stop.clone()));
        Self { address, answered, stop }
    }

    /// The status of the next request to an address.
    pub async fn answered(&mut self, path: &str) -> StatusCode {
        let next = async {
            loop {
                let (at, status) = self.answered.recv().await.expect("the server runs");
                if at == path {
                    return status;
                }
            }
        };
        tokio::time::timeout(std::time::Duration::from_mins(1), next).await.expect("a request within a minute")
    }
}
