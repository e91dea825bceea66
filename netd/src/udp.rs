//! The data path of backend `udp`: packets between a TUN device and other hosts, one in one datagram,
//! as flannel sends them. No header, no key, no proof of who sent it.
//!
//! A thread of its own carries them; it alone holds the device and the socket. Source: flannel
//! `pkg/backend/udp/proxy_amd64.c`.

mod packet;
mod ways;

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use ipnetwork::Ipv4Network;
use netstate::LinkName;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, read, write};
use tokio::sync::mpsc;

use crate::lease::ClusterEvent;
pub use ways::Ways;

/// How long before a device that is gone is made again.
const PAUSE: Duration = Duration::from_millis(200);
/// Packets taken from one side before the other has its turn.
const TURN: usize = 64;
/// The largest IP packet.
const LARGEST: usize = 65_535;

/// What the path is between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ends {
    /// The TUN device.
    pub device: LinkName,
    /// This host's address, to which others send.
    pub local: Ipv4Addr,
    /// The port, on all hosts.
    pub port: u16,
    /// This host's subnet: what comes for another is dropped.
    pub subnet: Ipv4Network,
}

/// The path, from outside. Dropping it ends it; the device stays.
#[derive(Debug)]
pub struct Path {
    ways: Arc<RwLock<Ways>>,
    bell: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

impl Path {
    /// Takes hold of the device, makes it where it is not there, and begins to carry packets, in the
    /// calling thread's network namespace.
    ///
    /// # Errors
    /// Where the device or the port is another's.
    pub fn start(ends: Ends) -> io::Result<Self> {
        let device = kernel::tun::hold(&ends.device)?;
        let socket = UdpSocket::bind(SocketAddrV4::new(ends.local, ends.port))?;
        socket.set_nonblocking(true)?;
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let ways = Arc::new(RwLock::new(Ways::default()));
        let mut carrier = Carrier {
            ends,
            device,
            socket,
            bell: Arc::clone(&bell),
            ways: Arc::clone(&ways),
            buffer: vec![0; LARGEST],
        };
        let thread = std::thread::Builder::new().name("netd-udp".to_owned());
        let thread = thread.spawn(move || carrier.run())?;
        Ok(Self { ways, bell, thread: Some(thread) })
    }

    /// Follows the cluster: where which subnet is.
    pub async fn follow(
        ways: Arc<RwLock<Ways>>,
        mut events: mpsc::UnboundedReceiver<ClusterEvent>,
    ) {
        while let Some(event) = events.recv().await {
            ways.write().unwrap_or_else(PoisonError::into_inner).take(&event);
        }
    }

    /// Where which subnet is.
    #[must_use]
    pub fn ways(&self) -> Arc<RwLock<Ways>> {
        Arc::clone(&self.ways)
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        let _ = write(&*self.bell, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The thread's own.
#[derive(Debug)]
struct Carrier {
    ends: Ends,
    device: OwnedFd,
    socket: UdpSocket,
    bell: Arc<OwnedFd>,
    ways: Arc<RwLock<Ways>>,
    buffer: Vec<u8>,
}

impl Carrier {
    fn run(&mut self) {
        loop {
            let mut all = [self.bell.as_fd(), self.device.as_fd(), self.socket.as_fd()]
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            // Without a bound; an interrupted wait is over.
            let waited = poll(&mut all, None);
            let [bell, device, socket] = all.map(|fd| waited.is_ok() && !fd.revents().is_empty());
            if bell {
                return;
            }
            if device && self.send().is_err() && self.hold_again() {
                return;
            }
            if socket {
                self.receive();
            }
        }
    }

    /// From the device to other hosts. What nobody is for is dropped.
    ///
    /// # Errors
    /// Where the device is gone.
    fn send(&mut self) -> Result<(), Errno> {
        for _ in 0..TURN {
            let length = match read(&self.device, &mut self.buffer) {
                Ok(length) => length,
                Err(Errno::AGAIN | Errno::INTR) => return Ok(()),
                Err(gone) => return Err(gone),
            };
            let Some(bytes) = self.buffer.get_mut(..length) else { continue };
            let Some(to) = packet::destination(bytes) else { continue };
            let ways = self.ways.read().unwrap_or_else(PoisonError::into_inner);
            let host = ways.host_of(to);
            drop(ways);
            if let Some(host) = host.filter(|_| packet::hop(bytes)) {
                // A datagram that is lost is lost.
                let _ = self.socket.send_to(bytes, SocketAddrV4::new(host, self.ends.port));
            }
        }
        Ok(())
    }

    /// From other hosts to the device: what is for this host's subnet.
    fn receive(&mut self) {
        for _ in 0..TURN {
            let length = match self.socket.recv_from(&mut self.buffer) {
                Ok((length, _)) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                // An earlier datagram was refused by its host.
                Err(_) => continue,
            };
            let Some(bytes) = self.buffer.get_mut(..length) else { continue };
            let is_here = |to| self.ends.subnet.contains(to);
            if packet::destination(bytes).is_some_and(is_here) && packet::hop(bytes) {
                // The device is full, or gone, which reading it tells.
                let _ = write(&self.device, bytes);
            }
        }
    }

    /// Makes the device again after somebody removed it. Gives whether the end has come meanwhile.
    fn hold_again(&mut self) -> bool {
        tracing::warn!(device = %self.ends.device, "the device is gone; making it again");
        loop {
            match kernel::tun::hold(&self.ends.device) {
                Ok(device) => {
                    self.device = device;
                    return false;
                }
                Err(error) => tracing::debug!(%error, "the device cannot be made yet"),
            }
            let mut bell = [PollFd::new(&*self.bell, PollFlags::IN)];
            let pause = Timespec::try_from(PAUSE).ok();
            if poll(&mut bell, pause.as_ref()).is_ok_and(|ready| ready > 0) {
                return true;
            }
        }
    }
}
