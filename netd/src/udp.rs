//! The data path of backend `udp`: packets between a TUN device and other hosts, one in one datagram,
//! as flannel sends them. No header, no key, no proof of who sent it.
//!
//! A thread of its own carries them; it alone holds the device and the socket. Source: flannel
//! `pkg/backend/udp/proxy_amd64.c`.

mod packet;
mod ways;

use std::io;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;

use ipnetwork::Ipv4Network;
use netstate::LinkName;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::io::{Errno, read, write};

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
    port: u16,
    ways: Arc<RwLock<Ways>>,
    sockets: Arc<Mutex<Option<Sockets>>>,
    bell: Arc<OwnedFd>,
    thread: Option<JoinHandle<()>>,
}

/// What other hosts send to. Clones are the same sockets.
#[derive(Debug, Clone)]
struct Sockets {
    now: Arc<UdpSocket>,
    /// Of this host's address before: who does not know the new one yet sends to it.
    before: Option<Arc<UdpSocket>>,
}

impl Path {
    /// Takes hold of the device, makes it where it is not there, and begins to carry packets, in the
    /// calling thread's network namespace.
    ///
    /// # Errors
    /// Where the device or the port is another's.
    pub fn start(ends: Ends) -> io::Result<Self> {
        let device = kernel::tun::hold(&ends.device)?;
        let sockets = Sockets { now: listen(ends.local, ends.port)?, before: None };
        let shared = Arc::new(Mutex::new(Some(sockets.clone())));
        let port = ends.port;
        let bell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let ways = Arc::new(RwLock::new(Ways::default()));
        let mut carrier = Carrier {
            ends,
            device,
            sockets,
            shared: Arc::clone(&shared),
            bell: Arc::clone(&bell),
            ways: Arc::clone(&ways),
            buffer: vec![0; LARGEST],
        };
        let thread = std::thread::Builder::new().name("netd-udp".to_owned());
        let thread = thread.spawn(move || carrier.run())?;
        Ok(Self { port, ways, sockets: shared, bell, thread: Some(thread) })
    }

    /// Sends from another address of this host's, in whose namespace the caller must be. What comes for
    /// the one before is taken for as long as the host has it.
    ///
    /// # Errors
    /// Where the port is another's there, or the address no longer this host's.
    pub fn rebind(&mut self, local: Ipv4Addr) -> io::Result<()> {
        let wanted = SocketAddr::from((local, self.port));
        let mut shared = self.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(there) = shared.as_mut() else { return Ok(()) };
        if there.now.local_addr()? == wanted {
            return Ok(());
        }
        let known = there.before.take_if(|old| old.local_addr().is_ok_and(|at| at == wanted));
        let socket = known.map_or_else(|| listen(local, self.port), Ok)?;
        there.before = Some(std::mem::replace(&mut there.now, socket));
        let _ = write(&*self.bell, &1_u64.to_ne_bytes());
        Ok(())
    }

    /// Where which subnet is.
    #[must_use]
    pub fn ways(&self) -> Arc<RwLock<Ways>> {
        Arc::clone(&self.ways)
    }
}

impl Drop for Path {
    fn drop(&mut self) {
        *self.sockets.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let _ = write(&*self.bell, &1_u64.to_ne_bytes());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn listen(local: Ipv4Addr, port: u16) -> io::Result<Arc<UdpSocket>> {
    let socket = UdpSocket::bind(SocketAddrV4::new(local, port))?;
    socket.set_nonblocking(true)?;
    Ok(Arc::new(socket))
}

/// The thread's own.
#[derive(Debug)]
struct Carrier {
    ends: Ends,
    device: OwnedFd,
    sockets: Sockets,
    /// The sockets by now; none at the end.
    shared: Arc<Mutex<Option<Sockets>>>,
    bell: Arc<OwnedFd>,
    ways: Arc<RwLock<Ways>>,
    buffer: Vec<u8>,
}

impl Carrier {
    fn run(&mut self) {
        loop {
            let now = Arc::clone(&self.sockets.now);
            let before = self.sockets.before.clone();
            let old = before.as_ref().unwrap_or(&now);
            let mut all = [self.bell.as_fd(), self.device.as_fd(), now.as_fd(), old.as_fd()]
                .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN));
            // Without a bound; an interrupted wait is over.
            let waited = poll(&mut all, None);
            let [bell, device, socket, late] =
                all.map(|fd| waited.is_ok() && !fd.revents().is_empty());
            if bell && self.is_over() {
                return;
            }
            if device && self.send().is_err() && self.hold_again() {
                return;
            }
            if socket {
                self.receive(&now);
            }
            if late && before.is_some() {
                self.receive(old);
            }
        }
    }

    /// After the bell: takes the sockets that there are by now. Gives whether the end has come.
    fn is_over(&mut self) -> bool {
        // Silenced before they are looked at: what comes later rings again.
        let _ = read(&*self.bell, &mut [0; 8]);
        match self.shared.lock().unwrap_or_else(PoisonError::into_inner).clone() {
            Some(sockets) => self.sockets = sockets,
            None => return true,
        }
        false
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
                let _ = self.sockets.now.send_to(bytes, SocketAddrV4::new(host, self.ends.port));
            }
        }
        Ok(())
    }

    /// From other hosts to the device: what is for this host's subnet.
    fn receive(&mut self, socket: &UdpSocket) {
        for _ in 0..TURN {
            let length = match socket.recv_from(&mut self.buffer) {
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
            if poll(&mut bell, pause.as_ref()).is_ok_and(|ready| ready > 0) && self.is_over() {
                return true;
            }
        }
    }
}
