//! etcd's JSON, which costs less to ask than to start `etcdctl`, and tells of leases.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use anyhow::{Context as _, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Etcd;
use crate::wait::PATIENCE;

/// A key with what it holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The key.
    pub key: String,
    /// What it holds.
    pub value: String,
    /// The lease it ends with; 0 without.
    pub lease: i64,
}

impl Etcd {
    /// All there is, in order of keys, and the leases that live.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn all(&self) -> Result<(Vec<Stored>, BTreeSet<i64>)> {
        let everything = json!({ "key": "AA==", "range_end": "AA==" });
        let [keys, leases] = &self
            .post(&[("kv/range", everything), ("lease/leases", json!({}))])?
            .try_into()
            .map_err(|answers| anyhow::anyhow!("not two answers: {answers:?}"))?;
        let stored = list(keys, "kvs").iter().map(stored).collect::<Result<_>>()?;
        let leases = list(leases, "leases").iter().filter_map(|lease| number(lease, "ID"));
        Ok((stored, leases.collect()))
    }

    /// For how many seconds leases were granted; those that have ended are left out.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn granted(&self, leases: &[i64]) -> Result<Vec<i64>> {
        let request = |id: &i64| ("lease/timetolive", json!({ "ID": id.to_string() }));
        let answers = self.post(&leases.iter().map(request).collect::<Vec<_>>())?;
        Ok(answers.iter().filter_map(|answer| number(answer, "grantedTTL")).collect())
    }

    /// Writes a key that ends with a lease; with none where that is 0.
    ///
    /// # Errors
    ///
    /// When it does not answer, or there is no such lease.
    pub fn put(&self, key: &str, value: &str, lease: i64) -> Result<()> {
        let lease = lease.to_string();
        let [key, value] = [key, value].map(|text| STANDARD.encode(text));
        let request = json!({ "key": key, "value": value, "lease": lease });
        self.post(&[("kv/put", request)]).map(drop)
    }

    /// Deletes keys.
    ///
    /// # Errors
    ///
    /// When it does not answer.
    pub fn delete(&self, keys: &[String]) -> Result<()> {
        let request = |key: &String| ("kv/deleterange", json!({ "key": STANDARD.encode(key) }));
        self.post(&keys.iter().map(request).collect::<Vec<_>>()).map(drop)
    }

    /// The answers to requests that are sent one after the other.
    fn post(&self, requests: &[(&str, Value)]) -> Result<Vec<Value>> {
        let address = self.url.strip_prefix("http://").context("an etcd without TLS")?;
        self.host
            .in_network(|| requests.iter().map(|(path, body)| ask(address, path, body)).collect())
    }
}

/// One request, on a connection of its own, which ends with the answer (HTTP/1.0).
fn ask(address: &str, path: &str, body: &Value) -> Result<Value> {
    let mut stream = TcpStream::connect(address).with_context(|| format!("reach {address}"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let body = body.to_string();
    let length = body.len();
    write!(stream, "POST /v3/{path} HTTP/1.0\r\nContent-Length: {length}\r\n\r\n{body}")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).with_context(|| format!("ask etcd for {path}"))?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an answer of etcd's")?;
    ensure!(head.contains(" 200 "), "etcd said to {path}: {answer}");
    serde_json::from_str(body).with_context(|| format!("JSON in {answer}"))
}

fn list<'v>(answer: &'v Value, name: &str) -> &'v [Value] {
    answer.get(name).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn stored(kv: &Value) -> Result<Stored> {
    let text = |name: &str| -> Result<String> {
        let encoded = kv.get(name).and_then(Value::as_str).unwrap_or_default();
        Ok(String::from_utf8_lossy(&STANDARD.decode(encoded)?).into_owned())
    };
    Ok(Stored { key: text("key")?, value: text("value")?, lease: number(kv, "lease").unwrap_or(0) })
}

/// 64 bits are text in etcd's JSON.
fn number(value: &Value, name: &str) -> Option<i64> {
    value.get(name)?.as_str()?.parse().ok()
}
