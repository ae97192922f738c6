//! The whole service: who asks is found out, then the API behind its policies answers, or a page.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tenfold_app::App;
use tenfold_httpkit::{cors::Named, front, server::PeerCertificate};
use tower::{Service, ServiceExt};

use crate::flag_streams::FlagStreams;
use crate::meta::OpenApiText;
use crate::{ApiError, BODY_BYTES_MAX, auth, policy, ui};

/// Everything that is served. One service and not a layer for each of its steps: flag clients ask tens of thousands of
/// times a second, and axum boxes and clones every layer for every request.
#[derive(Clone)]
pub struct Front {
    app: App,
    routes: Router,
    openapi: OpenApiText,
    streams: FlagStreams,
}

pub fn router(app: App) -> Front {
    let (routes, openapi, _) = policy::assemble(crate::apis());
    let routes = routes.fallback(ui::serve).with_state(app.clone());
    Front { app, routes, openapi: OpenApiText::new(&openapi), streams: FlagStreams::default() }
}

/// What the agents' own address serves: their routes and nothing else.
pub fn agents_router(app: App) -> Front {
    let (routes, openapi, _) = policy::assemble(vec![crate::agents::api()]);
    let routes = routes.with_state(app.clone());
    Front { app, routes, openapi: OpenApiText::new(&openapi), streams: FlagStreams::default() }
}

impl Front {
    async fn answer(self, request: Request) -> Response {
        let waits = waits_to_be_asked(request.uri().path(), request.headers());
        let mut response = front::answer(request, |request| self.shared(request)).await;
        if waits && response.status() == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static("Basic realm=\"tenfold\", charset=\"UTF-8\"");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, basic);
        }
        response
    }

    /// Pages of the origins that the settings name may read what the Prometheus API answers to a token.
    async fn shared(self, request: Request) -> Response {
        let Some(named) = Named::of(&self.app.settings.metrics.cors_origins, &request) else {
            return self.identified(request).await;
        };
        let mut response = if request.method() == Method::OPTIONS {
            StatusCode::NO_CONTENT.into_response()
        } else {
            self.identified(request).await
        };
        named.allow(response.headers_mut());
        response
    }

    async fn identified(self, mut request: Request) -> Response {
        let identity = match request.extensions().get::<PeerCertificate>() {
            Some(shown) => auth::host_identity(&self.app, shown),
            None => auth::identity(&self.app, request.method(), request.headers()).await,
        };
        match identity {
            Ok(identity) => request.extensions_mut().insert(identity),
            Err(fault) => return ApiError(fault).into_response(),
        };
        request.extensions_mut().insert(self.openapi);
        request.extensions_mut().insert(self.streams);
        DefaultBodyLimit::max(BODY_BYTES_MAX).apply(&mut request);
        self.routes.oneshot(request).await.unwrap_or_else(|never| match never {})
    }
}

/// Whether somebody may have a password that is sent only once it is asked for, as wget and the clients of Java and .NET do.
/// A browser would ask whoever sits before it, also where a page asks in the background.
fn waits_to_be_asked(path: &str, headers: &HeaderMap) -> bool {
    let of_peers = ["/api/v1/", "/api/v2/", "/federate", "/metrics"].iter().any(|p| path.starts_with(p));
    let of_browsers = ["cookie", "origin", "referer", "sec-fetch-mode"];
    of_peers && !of_browsers.iter().any(|name| headers.contains_key(*name))
}

impl Service<Request> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let front = self.clone();
        Box::pin(async move { Ok(front.answer(request).await) })
    }
}
