//! Both ends of a test connection, one static program for hosts and containers alike.
//!
//! ```text
//! e2e-probe serve PORT [ADDRESS...]        answers tcp and udp; prints "ready"
//! e2e-probe tcp|udp SERVER:PORT MS [FROM]  asks a server (an address, [address] or name); FROM is
//!                                          the address:port to ask from
//! ```
//!
//! Called as `record` it is a CNI plugin, see [`e2e::record`].
//!
//! The answer is one line, `SOURCE DESTINATION`: the two ends as the server saw them. An asker that
//! gets none within MS milliseconds prints the reason to standard error and exits with status 1.

use std::fs::File;
use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{
    IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, ToSocketAddrs as _, UdpSocket,
};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// How long an unanswered datagram waits before it is sent again.
const RESEND: Duration = Duration::from_millis(300);

fn main() -> ExitCode {
    let mut words = std::env::args();
    let called = words.next().unwrap_or_default();
    let words: Vec<String> = words.collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let done = match words.as_slice() {
        [] if called.ends_with("/record") => record(),
        ["serve", port, addresses @ ..] => serve(port, addresses),
        ["tcp", to, bound, from @ ..] => client(to, bound, from).and_then(|ask| ask.tcp()),
        ["udp", to, bound, from @ ..] => client(to, bound, from).and_then(|ask| ask.udp()),
        _ => Err(anyhow::anyhow!("usage: see the top of e2e/src/bin/e2e-probe.rs")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Nobody to tell when standard error is closed.
            let _ = writeln!(std::io::stderr(), "{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve(port: &str, addresses: &[&str]) -> Result<()> {
    let port: u16 = port.parse().context("parse the port")?;
    let addresses = match addresses {
        [] => vec![any()],
        given => given.iter().map(|text| text.parse()).collect::<Result<Vec<IpAddr>, _>>()?,
    };
    for address in addresses {
        let at = SocketAddr::new(address, port);
        let listener = TcpListener::bind(at).with_context(|| format!("listen on tcp {at}"))?;
        std::thread::spawn(move || listener.incoming().flatten().for_each(answer_stream));
        let socket = UdpSocket::bind(at).with_context(|| format!("listen on udp {at}"))?;
        std::thread::spawn(move || answer_datagrams(&socket));
    }
    say("ready")?;
    loop {
        std::thread::park();
    }
}

/// The address of all interfaces, of both families unless the kernel has no IPv6.
fn any() -> IpAddr {
    match UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)) {
        Ok(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        Err(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
    }
}

/// Tells a client who it is, then keeps the connection until the client closes it.
fn answer_stream(mut stream: TcpStream) {
    std::thread::spawn(move || -> std::io::Result<()> {
        let line = seen(stream.peer_addr()?, stream.local_addr()?);
        stream.write_all(line.as_bytes())?;
        let mut rest = [0; 512];
        while stream.read(&mut rest)? > 0 {}
        Ok(())
    });
}

fn answer_datagrams(socket: &UdpSocket) {
    let mut buffer = [0; 64];
    loop {
        if let (Ok((_, source)), Ok(local)) = (socket.recv_from(&mut buffer), socket.local_addr()) {
            // A client that is gone by then does not matter.
            let _ = socket.send_to(seen(source, local).as_bytes(), source);
        }
    }
}

/// The two ends of a flow, IPv4 addresses in their own form.
fn seen(source: SocketAddr, destination: SocketAddr) -> String {
    let plain = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
    format!("{} {}\n", plain(source), plain(destination))
}

/// Appends this CNI call to the record, and answers as a plugin that changes nothing.
fn record() -> Result<()> {
    const KEYS: [&str; 5] =
        ["CNI_COMMAND", "CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_ARGS"];
    let mut stdin = String::new();
    std::io::stdin().read_to_string(&mut stdin).context("read the configuration")?;
    let conf: Value = serde_json::from_str(&stdin).unwrap_or_default();
    let verb = std::env::var("CNI_COMMAND").unwrap_or_default();
    if verb == "VERSION" {
        let versions = ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
        let answer = json!({"cniVersion": "1.0.0", "supportedVersions": versions});
        return say(&answer.to_string());
    }
    let mut call = json!({"stdin": conf});
    if let Some(call) = call.as_object_mut() {
        let set = KEYS.iter().filter_map(|key| Some(((*key).to_owned(), std::env::var(key).ok()?)));
        call.extend(set.map(|(key, value)| (key, value.into())));
    }
    let mut file = File::options().create(true).append(true).open(e2e::record::FILE)?;
    writeln!(file, "{call}").context("write the record")?;
    match (verb.as_str(), conf.get("prevResult")) {
        ("ADD", Some(previous)) => say(&previous.to_string()),
        _ => Ok(()),
    }
}

struct Client {
    to: SocketAddr,
    bound: Duration,
    from: Option<SocketAddr>,
}

fn client(to: &str, bound: &str, from: &[&str]) -> Result<Client> {
    Ok(Client {
        to: to.to_socket_addrs().context("find the server")?.next().context("no address")?,
        bound: Duration::from_millis(bound.parse().context("parse the bound")?),
        from: from.first().map(|text| text.parse()).transpose().context("parse FROM")?,
    })
}

impl Client {
    fn tcp(&self) -> Result<()> {
        let mut stream = match self.from {
            None => TcpStream::connect_timeout(&self.to, self.bound),
            Some(from) => connect_from(from, self.to),
        }
        .map_err(reason)?;
        stream.set_read_timeout(Some(self.bound))?;
        let mut line = Vec::new();
        let mut byte = [0];
        while line.last() != Some(&b'\n') {
            if stream.read(&mut byte).map_err(reason)? == 0 {
                bail!("closed without an answer");
            }
            line.extend(byte);
        }
        say(String::from_utf8_lossy(&line).trim())
    }

    fn udp(&self) -> Result<()> {
        let any = match self.to {
            SocketAddr::V4(_) => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            SocketAddr::V6(_) => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        let socket = UdpSocket::bind(self.from.unwrap_or_else(|| SocketAddr::new(any, 0)))?;
        socket.connect(self.to).map_err(reason)?;
        let deadline = Instant::now() + self.bound;
        let mut buffer = [0; 512];
        loop {
            socket.send(b"hello").map_err(reason)?;
            let left = deadline.saturating_duration_since(Instant::now());
            socket.set_read_timeout(Some(left.min(RESEND).max(Duration::from_millis(1))))?;
            match socket.recv(&mut buffer) {
                Ok(count) => {
                    let answer = buffer.get(..count).context("an answer that fits")?;
                    return say(String::from_utf8_lossy(answer).trim());
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock && !left.is_zero() => {}
                Err(error) => return Err(reason(error)),
            }
        }
    }
}

/// Connects from a given address and port; the kernel's own time bounds hold.
fn connect_from(from: SocketAddr, to: SocketAddr) -> std::io::Result<TcpStream> {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let family = if to.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let stream = socket(family, SocketType::STREAM, None)?;
    bind(&stream, &from)?;
    connect(&stream, &to)?;
    Ok(stream.into())
}

/// The reason in the words tests look for.
fn reason(error: std::io::Error) -> anyhow::Error {
    const WORDS: [(ErrorKind, &str); 6] = [
        (ErrorKind::ConnectionRefused, "refused"),
        (ErrorKind::ConnectionReset, "reset"),
        (ErrorKind::HostUnreachable, "unreachable"),
        (ErrorKind::NetworkUnreachable, "unreachable"),
        (ErrorKind::TimedOut, "timed out"),
        (ErrorKind::WouldBlock, "timed out"),
    ];
    match WORDS.iter().find(|(kind, _)| *kind == error.kind()) {
        Some((_, word)) => anyhow::Error::msg(*word),
        None => error.into(),
    }
}

fn say(line: &str) -> Result<()> {
    let mut stdout = std::io::stdout();
    writeln!(stdout, "{line}").and_then(|()| stdout.flush()).context("write the answer")
}
