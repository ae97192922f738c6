//! The whole service: who asks is found out, then the API behind its policies answers, or a page.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::response::{IntoResponse, Response};
use tenfold_app::App;
use tenfold_httpkit::{front, server::PeerCertificate};
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
        front::answer(request, |request| self.identified(request)).await
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
