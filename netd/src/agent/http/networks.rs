//! The requests of [`crate::api::networks`].

use axum::Router;
use axum::body::Bytes;
use axum::extract::{FromRequestParts, Path, RawQuery};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use serde::Serialize;

use crate::api::networks::{BRIEF, Failure, Made, PATH, Pruned, filters};
use crate::network::{Brief, CreateRequest, Kind, ListFilter, Moment, NetworkError, PruneFilter};
use crate::registry::{Opened, Registry};

/// The routes.
pub(super) fn routes(opened: Opened) -> Router {
    Router::new()
        .route(PATH, get(list).post(create))
        // A network may be called so, too.
        .route(&format!("{PATH}/prune"), post(prune).get(inspect_prune).delete(remove_prune))
        .route(&format!("{PATH}/"), get(no_word).delete(no_word))
        .route(&format!("{PATH}/{{word}}"), get(inspect).delete(remove))
        .route(&format!("{PATH}/{{word}}/elsewhere/{{what}}"), delete(free))
        .method_not_allowed_fallback(not_allowed)
        .with_state(opened)
}

/// The networks, where they are there.
pub(super) struct Open(pub(super) Registry);

impl FromRequestParts<Opened> for Open {
    type Rejection = Response;

    async fn from_request_parts(_: &mut Parts, opened: &Opened) -> Result<Self, Response> {
        let opened = opened.borrow().clone();
        opened.map(Self).map_err(|why| {
            let action = "serve the networks of this host".to_owned();
            refused(&NetworkError::Host { action, why })
        })
    }
}

async fn list(Open(registry): Open, RawQuery(query): RawQuery) -> Response {
    let query = query.as_deref();
    let filter = match filters(query).and_then(|given| ListFilter::read(&given)) {
        Ok(filter) => filter,
        Err(error) => return refused(&error),
    };
    let is_brief = query.is_some_and(|query| query.split('&').any(|pair| pair == BRIEF));
    match is_brief {
        true => json(StatusCode::OK, &registry.list(&filter, Brief::of)),
        false => json(StatusCode::OK, &registry.list(&filter, |network| registry.shown(network))),
    }
}

async fn create(Open(registry): Open, body: Bytes) -> Response {
    let request: Result<CreateRequest, _> = serde_json::from_slice(&body);
    let request = match request {
        Ok(request) => request,
        Err(error) => return refused(&NetworkError::Request(error.to_string())),
    };
    let made = to_the_end(async move { registry.create(request).await }).await;
    answer(made.map(|(id, warnings)| {
        let made = Made { id: id.to_string(), warning: warnings.join("\n") };
        (StatusCode::CREATED, made)
    }))
}

async fn inspect(Open(registry): Open, Path(word): Path<String>) -> Response {
    answer(registry.inspect(&word).map(|network| (StatusCode::OK, network)))
}

async fn remove(Open(registry): Open, Path(word): Path<String>) -> Response {
    match to_the_end(async move { registry.remove(&word).await }).await {
        Ok(_) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(&error),
    }
}

async fn free(Open(registry): Open, Path((word, what)): Path<(String, String)>) -> Response {
    match to_the_end(async move { registry.free(&word, &what).await }).await {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(error) => refused(&error),
    }
}

async fn inspect_prune(registry: Open) -> Response {
    inspect(registry, Path("prune".to_owned())).await
}

async fn remove_prune(registry: Open) -> Response {
    remove(registry, Path("prune".to_owned())).await
}

async fn no_word() -> Response {
    refused(&NetworkError::NoWord)
}

async fn not_allowed(method: Method) -> Response {
    let message = format!("method {method} is not served here");
    json(StatusCode::METHOD_NOT_ALLOWED, &Failure { message })
}

async fn prune(Open(registry): Open, RawQuery(query): RawQuery) -> Response {
    let read = |given| PruneFilter::read(&given, Moment::now());
    let filter = match filters(query.as_deref()).and_then(read) {
        Ok(filter) => filter,
        Err(error) => return refused(&error),
    };
    let pruned = to_the_end(async move { registry.prune(&filter).await }).await;
    answer(pruned.map(|networks_deleted| (StatusCode::OK, Pruned { networks_deleted })))
}

/// Does something to its end, whether the client waits for it or not: half of a change is none.
async fn to_the_end<T: Send + 'static>(
    change: impl Future<Output = Result<T, NetworkError>> + Send + 'static,
) -> Result<T, NetworkError> {
    let failed = |error: tokio::task::JoinError| NetworkError::Host {
        action: "change networks".to_owned(),
        why: error.to_string(),
    };
    tokio::spawn(change).await.unwrap_or_else(|error| Err(failed(error)))
}

pub(super) fn answer<T: Serialize>(result: Result<(StatusCode, T), NetworkError>) -> Response {
    match result {
        Ok((status, value)) => json(status, &value),
        Err(error) => refused(&error),
    }
}

fn refused(error: &NetworkError) -> Response {
    let status = match error.kind() {
        Kind::Invalid => StatusCode::BAD_REQUEST,
        Kind::Forbidden => StatusCode::FORBIDDEN,
        Kind::NotFound => StatusCode::NOT_FOUND,
        Kind::Conflict => StatusCode::CONFLICT,
        Kind::Failed => StatusCode::INTERNAL_SERVER_ERROR,
    };
    json(status, &Failure { message: error.to_string() })
}

fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    // Its keys are text, so there is a JSON form.
    let text = serde_json::to_string(value).unwrap_or_default();
    (status, [(CONTENT_TYPE, "application/json")], text).into_response()
}

#[cfg(test)]
mod tests;
