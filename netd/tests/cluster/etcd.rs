//! An etcd for one test.

use std::io::Read;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use netd::store::Store;
use netd::store::etcd::{Options, Tls};
use tempfile::TempDir;

/// How long etcd may take to answer after its start.
const STARTS_WITHIN: Duration = Duration::from_secs(60);

/// An etcd, which ends with this.
pub(crate) struct Etcd {
    dir: TempDir,
    child: Option<Child>,
    ports: (u16, u16),
    /// Arguments of the server beside the usual ones.
    extra: Vec<String>,
    scheme: &'static str,
}

impl Etcd {
    /// Starts an etcd and waits until it answers.
    pub(crate) fn start() -> Self {
        let mut etcd = Self::new("http", Vec::new());
        etcd.run();
        etcd
    }

    /// Starts an etcd that speaks TLS and wants a client's certificate, if one is wanted, signed
    /// by the same authority.
    pub(crate) fn start_with_tls(wants_certificate: bool) -> Self {
        let mut etcd = Self::new("https", Vec::new());
        etcd.make_certificates();
        let path = |name: &str| etcd.path(name).to_str().unwrap().to_owned();
        let mut extra = vec!["--cert-file".to_owned(), path("server.crt")];
        extra.extend(["--key-file".to_owned(), path("server.key")]);
        if wants_certificate {
            extra.extend(["--client-cert-auth".to_owned(), "--trusted-ca-file".to_owned()]);
            extra.push(path("ca.crt"));
        }
        etcd.extra = extra;
        etcd.run();
        etcd
    }

    fn new(scheme: &'static str, extra: Vec<String>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, child: None, ports: (free_port(), free_port()), extra, scheme }
    }

    /// Starts it again, after [`Self::kill`], with what it had.
    pub(crate) fn run(&mut self) {
        let (client, peer) = self.ports;
        let url = self.url();
        let peer = format!("http://127.0.0.1:{peer}");
        let log = std::fs::File::create(self.path("log")).unwrap();
        let mut command = Command::new("etcd");
        command.args(["--name", "one", "--data-dir"]).arg(self.path("data"));
        command.args(["--listen-client-urls", &url, "--advertise-client-urls", &url]);
        command.args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer]);
        command.args(["--initial-cluster", &format!("one={peer}"), "--log-level", "warn"]);
        command.args(["--heartbeat-interval", "50", "--election-timeout", "500"]);
        command.args(["--unsafe-no-fsync"]).args(&self.extra);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.child = Some(command.spawn().expect("etcd is installed"));
        let start = Instant::now();
        while !self.try_ctl(&["--user=", "endpoint", "health"]).status.success() {
            if let Some(status) = self.child.as_mut().unwrap().try_wait().unwrap() {
                panic!("etcd on port {client} ended with {status}: {}", self.log());
            }
            assert!(start.elapsed() < STARTS_WITHIN, "etcd does not answer: {}", self.log());
        }
    }

    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Sends a signal by its name.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        let sent = Command::new("kill").args(["-s", name, &pid]).status().unwrap();
        assert!(sent.success());
    }

    /// Forgets everything it had; to be called between [`Self::kill`] and [`Self::run`].
    pub(crate) fn forget(&self) {
        std::fs::remove_dir_all(self.path("data")).unwrap();
    }

    /// Starts it, after [`Self::kill`], without anything it had, or with what is in a snapshot's
    /// file, and with so many changes since; whoever follows it sees it with all of them first.
    pub(crate) fn run_anew(&mut self, snapshot: Option<&Path>, changes: usize) {
        self.forget();
        let peer = format!("http://127.0.0.1:{}", self.ports.1);
        if let Some(snapshot) = snapshot {
            let data = self.path("data");
            let (cluster, [snapshot, data]) =
                (format!("one={peer}"), [snapshot, &data].map(|path| path.to_str().unwrap()));
            self.ctl(&[
                "snapshot",
                "restore",
                snapshot,
                "--data-dir",
                data,
                "--name",
                "one",
                "--initial-cluster",
                &cluster,
                "--initial-advertise-peer-urls",
                &peer,
            ]);
        }
        let port = std::mem::replace(&mut self.ports.0, free_port());
        self.run();
        for number in 0..changes {
            self.ctl(&["put", "/unrelated", &number.to_string()]);
        }
        self.kill();
        self.ports.0 = port;
        self.run();
    }

    pub(crate) fn url(&self) -> String {
        format!("{}://127.0.0.1:{}", self.scheme, self.ports.0)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The store of a user without a name.
    pub(crate) fn store(&self) -> Arc<dyn Store> {
        self.store_with(|_| {})
    }

    pub(crate) fn store_with(&self, change: impl FnOnce(&mut Options)) -> Arc<dyn Store> {
        let mut options = Options { endpoints: self.url(), ..Options::default() };
        if self.scheme == "https" {
            options.tls = self.tls();
        }
        change(&mut options);
        Arc::new(netd::store::etcd::Etcd::new(&options).unwrap())
    }

    pub(crate) fn tls(&self) -> Tls {
        Tls {
            authorities: Some(self.path("ca.crt")),
            certificate: Some(self.path("client.crt")),
            key: Some(self.path("client.key")),
        }
    }

    /// Runs etcdctl; what it printed.
    #[track_caller]
    pub(crate) fn ctl(&self, args: &[&str]) -> String {
        let output = self.try_ctl(args);
        assert!(output.status.success(), "etcdctl {args:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn try_ctl(&self, args: &[&str]) -> Output {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").arg("--endpoints").arg(self.url());
        if self.scheme == "https" {
            command.arg("--cacert").arg(self.path("ca.crt"));
            command.arg("--cert").arg(self.path("client.crt"));
            command.arg("--key").arg(self.path("client.key"));
        }
        let args = args.iter().filter(|arg| **arg != "--user=");
        command.args(args).stdin(Stdio::null()).output().expect("etcdctl is installed")
    }

    /// How often each call of gRPC was begun, by etcd's own count, of those whose name contains
    /// `name`.
    pub(crate) fn calls(&self, name: &str) -> f64 {
        let metrics = self.metrics();
        let of_call =
            |line: &&str| line.starts_with("grpc_server_msg_received_total") && line.contains(name);
        metrics
            .lines()
            .filter(of_call)
            .filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok())
            .sum()
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// How many watches are open.
    pub(crate) fn watches(&self) -> u32 {
        let metrics = self.metrics();
        let line =
            metrics.lines().find(|line| line.starts_with("etcd_debugging_mvcc_watcher_total"));
        line.unwrap().rsplit(' ').next().unwrap().parse().unwrap()
    }

    fn metrics(&self) -> String {
        use std::io::Write;
        let mut stream = std::net::TcpStream::connect(("127.0.0.1", self.ports.0)).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    }

    /// An authority, and certificates by it for 127.0.0.1 and for the client `client`; and a
    /// second authority that signed nothing.
    fn make_certificates(&self) {
        let script = r#"set -e
            ec="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2"
            openssl req -x509 $ec -keyout ca.key -out ca.crt -subj /CN=ca
            openssl req -x509 $ec -keyout other.key -out other.crt -subj /CN=other
            sign() {
                openssl req $ec -keyout $1.key -out $1.csr -subj /CN=$1
                printf 'basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth,clientAuth\n' >ext
                openssl x509 -req -in $1.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 2 -extfile ext -out $1.crt
            }
            sign server
            sign client"#;
        let mut command = Command::new("sh");
        command.args(["-c", script]).current_dir(self.dir.path());
        let output = command.output().unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.path("log")).unwrap_or_default()
    }
}

impl Drop for Etcd {
    fn drop(&mut self) {
        self.kill();
    }
}

/// A port of the loopback interface that nothing listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Writes a file.
pub(crate) fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
}
