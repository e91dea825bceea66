//! How etcd is reached: flannel's options.

use std::fs;
use std::path::{Path, PathBuf};

use etcd_client::{Certificate, Identity, TlsOptions};

use super::client::Endpoint;
use crate::store::{Error, Fault};

/// Where distributions keep the certificates of public authorities, in Go's order.
const SYSTEM_ROOTS: [&str; 4] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
];

/// How etcd is reached.
#[derive(Clone, Default)]
pub struct Options {
    /// URLs, separated by commas; without a scheme it is http, or https where there is a
    /// certificate to show.
    pub endpoints: String,
    /// Files of certificates.
    pub tls: Tls,
    /// Name and password.
    pub user: Option<(String, String)>,
}

/// Files of certificates, in PEM.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// The authorities that sign etcd's certificate; without it the system's. Unlike flannel,
    /// which ignores it where no certificate of the client's is given.
    pub authorities: Option<PathBuf>,
    /// The certificate to show.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
}

impl Options {
    /// One client per URL.
    pub(super) fn endpoints(&self) -> Result<Vec<Endpoint>, Error> {
        let mut endpoints = Vec::new();
        let mut tls = None;
        for given in self.endpoints.split(',').map(str::trim).filter(|url| !url.is_empty()) {
            let url = self.url(given)?;
            if url.starts_with("https://") && tls.is_none() {
                tls = Some(self.tls.read()?);
            }
            let tls = tls.clone().filter(|_| url.starts_with("https://"));
            let shows = self.tls.certificate.is_some();
            endpoints.push(Endpoint::new(url, self.user.clone(), tls, shows));
        }
        if endpoints.is_empty() {
            return Err(invalid(format!(
                "--etcd-endpoints {:?} names none: give URLs like http://127.0.0.1:2379, \
                 separated by commas",
                self.endpoints
            )));
        }
        if tls.is_none() && self.tls.is_given() {
            tracing::warn!(
                endpoints = self.endpoints,
                "certificates are given, but no endpoint is https: they are not used"
            );
        }
        Ok(endpoints)
    }

    fn url(&self, given: &str) -> Result<String, Error> {
        let scheme = if self.tls.certificate.is_some() { "https" } else { "http" };
        let url =
            if given.contains("://") { given.to_owned() } else { format!("{scheme}://{given}") };
        let host = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://"));
        let authority = host.map(|rest| rest.trim_end_matches('/'));
        let port = |(host, port): (&str, &str)| !host.is_empty() && port.parse::<u16>().is_ok();
        let fine = authority.is_some_and(|authority| {
            !authority.contains(['/', '@', ' ', '?', '#'])
                && authority.rsplit_once(':').is_some_and(port)
        });
        if fine {
            return Ok(url.trim_end_matches('/').to_owned());
        }
        Err(invalid(format!(
            "--etcd-endpoints has {given:?}, which is no URL of etcd: write it as in \
             http://127.0.0.1:2379 or https://etcd.example:2379"
        )))
    }
}

impl std::fmt::Debug for Options {
    /// Everything but the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options")
            .field("endpoints", &self.endpoints)
            .field("tls", &self.tls)
            .field("user", &self.user.as_ref().map(|(name, _)| name))
            .finish()
    }
}

impl Tls {
    fn is_given(&self) -> bool {
        self.authorities.is_some() || self.certificate.is_some() || self.key.is_some()
    }

    fn read(&self) -> Result<TlsOptions, Error> {
        let authorities = match &self.authorities {
            Some(path) => pem("--etcd-cafile", path, "CERTIFICATE")?,
            None => system_roots()?,
        };
        let tls = TlsOptions::new().ca_certificate(Certificate::from_pem(authorities));
        match (&self.certificate, &self.key) {
            (None, None) => Ok(tls),
            (Some(certificate), Some(key)) => {
                let certificate = pem("--etcd-certfile", certificate, "CERTIFICATE")?;
                let key = pem("--etcd-keyfile", key, "PRIVATE KEY")?;
                Ok(tls.identity(Identity::from_pem(certificate, key)))
            }
            (Some(certificate), None) => Err(invalid(format!(
                "--etcd-certfile {} is given without --etcd-keyfile: give both or none",
                certificate.display()
            ))),
            (None, Some(key)) => Err(invalid(format!(
                "--etcd-keyfile {} is given without --etcd-certfile: give both or none",
                key.display()
            ))),
        }
    }
}

/// Reads a file that must hold a PEM block of this kind.
fn pem(option: &str, path: &Path, label: &str) -> Result<Vec<u8>, Error> {
    let shown = path.display();
    let bytes = fs::read(path).map_err(|error| {
        invalid(format!("{option} {shown} cannot be read ({error}): name a PEM file"))
    })?;
    let text = String::from_utf8_lossy(&bytes);
    let is_begin =
        |line: &str| line.starts_with("-----BEGIN ") && line.ends_with(&format!("{label}-----"));
    if !text.lines().any(|line| is_begin(line.trim_end())) {
        return Err(invalid(format!(
            "{option} {shown} has no `-----BEGIN {label}-----`: name a PEM file that has"
        )));
    }
    Ok(bytes)
}

fn system_roots() -> Result<Vec<u8>, Error> {
    let given = std::env::var_os("SSL_CERT_FILE").map(PathBuf::from);
    let known = SYSTEM_ROOTS.iter().map(PathBuf::from);
    let found = given.into_iter().chain(known).find_map(|path| fs::read(path).ok());
    found.ok_or_else(|| {
        invalid(
            "--etcd-cafile is not given, and the system has no certificates of authorities: give \
             it, or install ca-certificates"
                .to_owned(),
        )
    })
}

fn invalid(text: String) -> Error {
    Error::new("reach etcd", Fault::Invalid(text))
}
