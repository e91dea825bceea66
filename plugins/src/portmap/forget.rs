//! Flows through published UDP ports, which conntrack must forget.

use std::io::Write;
use std::net::IpAddr;

use attach::{Record, flows};
use cni::Error;
use drivers::ruleset::Ip;
use kernel::Kernel;

use crate::attachment::{self, kernel_error};

/// That the entry expires by itself is why a failure is not one of ADD.
pub(super) fn flush_conntrack(kernel: &mut Kernel, udp: &[(Ip, Option<IpAddr>, u16)]) {
    if let Err(e) = flows::flush(kernel, udp) {
        let _ = writeln!(std::io::stderr(), "portmap: {}", cni::ErrorChain(&e));
    }
}

/// DEL and GC forget the flows of an attachment before its record.
pub(crate) fn forget_flows(record: &Record) -> Result<(), Error> {
    flows::forget(&mut attachment::kernel(None), record).map_err(|e| kernel_error(&e))
}
