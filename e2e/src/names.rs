//! Names, as programs in containers find each other by them.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use serde_json::Value;

use crate::attach_socket::attach;
use crate::{Container, Host, Output, Place as _, address};

/// No error; without an answer: the name has other records (RFC 1035, section 4.1.1).
pub const NO_ERROR: u64 = 0;
/// There is no such name.
pub const NX_DOMAIN: u64 = 3;

/// A container with the resolv.conf that the result of its attachment asks for.
#[derive(Debug)]
pub struct Asker {
    /// The container.
    pub container: Container,
    /// The whole result of the attachment.
    pub result: Value,
}

impl Asker {
    /// A new container; `more` are keys of the request.
    ///
    /// # Errors
    /// Where it is not attached.
    pub fn new(host: &Host, id: &str, network: &str, more: &Value) -> Result<Self> {
        let container = host.add_container(id)?;
        let result = attach(&container, network, more)?;
        let asker = Self { container, result };
        let servers = asker.words("nameservers").into_iter();
        let servers: String = servers.map(|server| format!("nameserver {server}\n")).collect();
        let options = asker.words("options").join(" ");
        host.write_file(&format!("/run/{id}.resolv"), format!("{servers}options {options}\n"))?;
        Ok(asker)
    }

    /// The name servers that it was given.
    #[must_use]
    pub fn servers(&self) -> Vec<String> {
        self.words("nameservers")
    }

    /// `getent` in the container.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn getent(&self, words: &str) -> Result<Output> {
        let id = self.container.id();
        let script = format!(
            "touch /etc/resolv.conf
             mount --bind /run/{id}.resolv $(readlink -f /etc/resolv.conf) && getent {words}"
        );
        self.container.command(&["unshare", "-m", "sh", "-c", &script]).output()
    }

    /// The addresses of a name, of one family; none where it is not found.
    ///
    /// # Errors
    /// Where `getent` fails otherwise.
    pub fn finds(&self, name: &str, v6: bool) -> Result<BTreeSet<String>> {
        let found = self.getent(&format!("ahostsv{} {name}", if v6 { 6 } else { 4 }))?;
        ensure!(matches!(found.code, 0 | 2), "{found:?}");
        let first = |line: &str| line.split_whitespace().next().unwrap_or_default().to_owned();
        // The C library makes one of the other family up.
        let is_real = |address: &String| !address.starts_with("::ffff:");
        Ok(found.stdout.lines().map(first).filter(is_real).collect())
    }

    /// What an address is called; none where nobody has it.
    ///
    /// # Errors
    /// As [`Self::finds`].
    pub fn name_of(&self, address: &str) -> Result<Option<String>> {
        let found = self.getent(&format!("hosts {address}"))?;
        ensure!(matches!(found.code, 0 | 2), "{found:?}");
        Ok(found.stdout.split_whitespace().nth(1).map(str::to_owned))
    }

    /// What the first name server says: the code, and the addresses of IPv4 in the order in which they come.
    ///
    /// # Errors
    /// Where it says nothing.
    pub fn asks(&self, name: &str, v6: bool) -> Result<(u64, Vec<String>)> {
        let server = self.servers().into_iter().next().unwrap_or_default();
        self.asks_at(&server, name, v6)
    }

    /// What a name server says.
    ///
    /// # Errors
    /// Where it says nothing.
    pub fn asks_at(&self, server: &str, name: &str, v6: bool) -> Result<(u64, Vec<String>)> {
        let question = ["python3", "-c", ASK, server, name, if v6 { "28" } else { "1" }];
        let answer = self.container.run(&question)?.json()?;
        let addresses = answer.get("addresses").and_then(Value::as_array).into_iter().flatten();
        let addresses = addresses.filter_map(Value::as_str).map(str::to_owned).collect();
        Ok((answer.get("code").and_then(Value::as_u64).unwrap_or(u64::MAX), addresses))
    }

    /// One of its addresses.
    ///
    /// # Errors
    /// Where it has none of this number.
    pub fn ip(&self, number: usize) -> Result<String> {
        Ok(address(&self.result, number)?.to_string())
    }

    fn words(&self, key: &str) -> Vec<String> {
        let words = self.result.pointer(&format!("/dns/{key}")).and_then(Value::as_array);
        words.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
    }
}

/// Asks a server for a name's records of a type.
const ASK: &str = r#"
import json, socket, struct, sys
server, name, kind = sys.argv[1], sys.argv[2], int(sys.argv[3])
labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
question = labels + b"\0" + struct.pack("!HH", kind, 1)
udp = socket.socket(socket.AF_INET6 if ":" in server else socket.AF_INET, socket.SOCK_DGRAM)
udp.settimeout(5)
udp.sendto(struct.pack("!HHHHHH", 7, 0x100, 1, 0, 0, 0) + question, (server, 53))
answer = udp.recv(4096)
_, flags, _, count, _, _ = struct.unpack("!HHHHHH", answer[:12])
at, addresses = 12 + len(question), []
for _ in range(count):
    at += 2 if answer[at] >= 0xC0 else answer.index(b"\0", at) + 1 - at
    is_of, _, _, length = struct.unpack("!HHIH", answer[at:at + 10])
    at += 10
    if is_of == 1:
        addresses.append(socket.inet_ntoa(answer[at:at + length]))
    at += length
print(json.dumps({"code": flags & 15, "addresses": addresses}))
"#;
