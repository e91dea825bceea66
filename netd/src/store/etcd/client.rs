//! The client of one endpoint.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use etcd_client::{Client, ConnectOptions, TlsOptions};
use tokio::sync::OnceCell;

/// How long a connection may take.
const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// A connection that has calls open is asked for a sign of life this often. etcd closes those of
/// clients that ask more often than every 5 s, or without a call open.
const PING_EVERY: Duration = Duration::from_secs(10);
/// How long the sign of life may take.
const PING_WITHIN: Duration = Duration::from_secs(5);

/// One endpoint.
pub(super) struct Endpoint {
    pub(super) url: String,
    user: Option<(String, String)>,
    tls: Option<TlsOptions>,
    /// What may help where a connection fails.
    hint: &'static str,
    client: Mutex<Arc<OnceCell<Client>>>,
}

impl Endpoint {
    pub(super) fn new(
        url: String,
        user: Option<(String, String)>,
        tls: Option<TlsOptions>,
        shows_certificate: bool,
    ) -> Self {
        let hint = match (&tls, shows_certificate) {
            // With TLS 1.3 the server closes the connection without a word to the client.
            (Some(_), false) => {
                " (if etcd wants a certificate, give --etcd-certfile and --etcd-keyfile)"
            }
            (None, _) => " (if etcd speaks TLS, write https://)",
            (Some(_), true) => "",
        };
        Self { url, user, tls, hint, client: Mutex::default() }
    }

    /// That it did not answer, and why.
    pub(super) fn silent(&self, why: &str) -> String {
        // Where nobody listens, it is not for want of TLS.
        let hint = if why.contains("refused") { "" } else { self.hint };
        format!("{}: {why}{hint}", self.url)
    }

    /// The client, which logs in first where there is a user. It connects when it is used, and
    /// again when the connection breaks.
    pub(super) async fn client(&self) -> Result<Client, etcd_client::Error> {
        // Locked to be read or set only.
        let client = Arc::clone(&self.client.lock().unwrap_or_else(PoisonError::into_inner));
        client.get_or_try_init(|| self.connect()).await.cloned()
    }

    /// The next call connects anew.
    pub(super) fn disconnect(&self) {
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = Arc::default();
    }

    async fn connect(&self) -> Result<Client, etcd_client::Error> {
        let Some((name, password)) = &self.user else {
            return Client::connect([&self.url], Some(self.options())).await;
        };
        let with_user = self.options().with_user(name, password).with_auto_token_refresh(true);
        match Client::connect([&self.url], Some(with_user)).await {
            // As Go's client: a user is no error where none is asked for.
            Err(etcd_client::Error::GRpcStatus(status))
                if status.message().contains("authentication is not enabled") =>
            {
                Client::connect([&self.url], Some(self.options())).await
            }
            other => other,
        }
    }

    fn options(&self) -> ConnectOptions {
        let options = ConnectOptions::new()
            .with_connect_timeout(CONNECT_WITHIN)
            .with_keep_alive(PING_EVERY, PING_WITHIN)
            .with_keep_alive_while_idle(false)
            .with_require_leader(true);
        match &self.tls {
            Some(tls) => options.with_tls(tls.clone()),
            None => options,
        }
    }
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.url)
    }
}
