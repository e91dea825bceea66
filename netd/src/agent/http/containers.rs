//! The requests of [`crate::api::containers`].

use axum::Router;
use axum::extract::RawQuery;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use super::networks::{Open, answer};
use crate::api::containers::PATH;
use crate::api::networks::filters;
use crate::endpoint::ContainerFilter;
use crate::registry::Opened;

/// The routes.
pub(super) fn routes(opened: Opened) -> Router {
    Router::new().route(PATH, get(list)).with_state(opened)
}

async fn list(Open(registry): Open, RawQuery(query): RawQuery) -> Response {
    let filter = filters(query.as_deref()).and_then(|given| ContainerFilter::read(&given));
    answer(filter.map(|filter| (StatusCode::OK, registry.containers(&filter))))
}
