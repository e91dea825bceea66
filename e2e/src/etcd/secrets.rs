//! Certificates and users of an etcd that lets nobody in without them.

use std::net::IpAddr;

use anyhow::Result;

use crate::host::Host;
use crate::place::Place as _;

/// An authority, and certificates by it for the server's address and for a client; and another
/// authority that signed nothing.
const MAKE: &str = r#"
mkdir -p /etc/etcd-pki && cd /etc/etcd-pki
ec="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
openssl req -x509 $ec -keyout ca.key -out ca.crt -subj /CN=ca
openssl req -x509 $ec -keyout other.key -out other.crt -subj /CN=other
for name in server client; do
    openssl req $ec -keyout $name.key -out $name.csr -subj /CN=$name
    printf 'basicConstraints=CA:FALSE\nsubjectAltName=IP:ADDRESS\nextendedKeyUsage=serverAuth,clientAuth\n' >ext
    openssl x509 -req -in $name.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 \
        -extfile ext -out $name.crt
done
"#;

/// Arguments of the server.
pub(super) const SERVER: [&str; 4] = [
    "--cert-file=/etc/etcd-pki/server.crt",
    "--key-file=/etc/etcd-pki/server.key",
    "--client-cert-auth",
    "--trusted-ca-file=/etc/etcd-pki/ca.crt",
];

/// Arguments of etcdctl. A user is no error while none is asked for.
pub(super) const CTL: [&str; 8] = [
    "--cacert",
    "/etc/etcd-pki/ca.crt",
    "--cert",
    "/etc/etcd-pki/client.crt",
    "--key",
    "/etc/etcd-pki/client.key",
    "--user",
    "root:of-root",
];

/// What makes the users, in etcdctl's words.
pub(super) const USERS: [&[&str]; 8] = [
    &["user", "add", "root:of-root"],
    &["role", "add", "root"],
    &["user", "grant-role", "root", "root"],
    &["role", "add", "network"],
    &["role", "grant-permission", "network", "--prefix=true", "readwrite", super::PREFIX],
    &["user", "add", "netd:of-netd"],
    &["user", "grant-role", "netd", "network"],
    &["auth", "enable"],
];

/// Makes the certificates.
pub(super) fn make(host: &Host, address: IpAddr) -> Result<()> {
    host.sh(&MAKE.replace("ADDRESS", &address.to_string())).map(drop)
}

/// Copies what a client needs to another host, and gives the agent's flags for it.
pub(super) fn lend(from: &Host, to: &Host) -> Result<Vec<String>> {
    for name in ["ca.crt", "client.crt", "client.key", "other.crt"] {
        let file = format!("/etc/etcd-pki/{name}");
        to.write_file(&file, from.read(&file)?)?;
    }
    let flags = [
        "-etcd-cafile=/etc/etcd-pki/ca.crt",
        "-etcd-certfile=/etc/etcd-pki/client.crt",
        "-etcd-keyfile=/etc/etcd-pki/client.key",
        "-etcd-username=netd",
        "-etcd-password=of-netd",
    ];
    Ok(flags.map(str::to_owned).to_vec())
}
