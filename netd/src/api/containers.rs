//! Containers on this host's networks, on `netd.sock`: HTTP/1.1 with JSON, root only.
//!
//! | request | answer |
//! |---|---|
//! | `GET /v1/containers?filters=F` | a list of containers ([`ListedContainer`]), in order of their ids |
//!
//! Filters are those of [`crate::endpoint::ContainerFilter`], written as in [`super::networks`]. Within `v1`
//! keys are added and never renamed or removed.

use hyper::Method;

use super::networks::{Client, ClientError, Filters, read, with};
use crate::endpoint::ListedContainer;

/// Where requests go.
pub const PATH: &str = "/v1/containers";

impl Client<'_> {
    /// Lists containers.
    ///
    /// # Errors
    /// [`ClientError`].
    pub async fn containers(self, filters: &Filters) -> Result<Vec<ListedContainer>, ClientError> {
        read(&self.send(Method::GET, &with(PATH, filters), String::new()).await?)
    }
}
