//! Reads one thing of iptables-legacy (ip_tables, ip6_tables): whether its FORWARD chain drops.
//!
//! It changes nothing there, and looking must not make the kernel load a module or make a table:
//! the kernel makes one for whoever asks for it by name (`xt_find_table_lock()`,
//! `net/netfilter/x_tables.c`), so it is asked only where it is listed already.

use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

use crate::error::Error;

/// `XT_TABLE_MAXNAMELEN` (`include/uapi/linux/netfilter/x_tables.h`).
const NAME: usize = 32;
const FILTER: &[u8] = b"filter";

/// `IPT_SO_GET_INFO` and `IPT_SO_GET_ENTRIES` (`include/uapi/linux/netfilter_ipv4/ip_tables.h`);
/// those of IPv6 have the same numbers.
const GET_INFO: i32 = 64;
const GET_ENTRIES: i32 = 65;

/// `struct ipt_getinfo`, `struct ip6t_getinfo`: name, `valid_hooks`, `hook_entry[5]`,
/// `underflow[5]`, `num_entries`, `size`.
const INFO: usize = NAME + 4 + 5 * 4 + 5 * 4 + 4 + 4;
const INFO_UNDERFLOW: usize = NAME + 4 + 5 * 4;
const INFO_SIZE: usize = INFO - 4;
/// `NF_INET_FORWARD` (`include/uapi/linux/netfilter.h`).
const FORWARD: usize = 2;

/// `struct ipt_get_entries`, `struct ip6t_get_entries`: name, `size`, and then the entries, which
/// hold 64-bit counters.
const ENTRIES_HEAD: usize = (NAME + 4).next_multiple_of(align_of::<u64>());
/// `target_offset` in `struct ipt_entry`, after `struct ipt_ip` and `nfcache`.
const V4_TARGET_OFFSET: usize = 84 + 4;
/// `target_offset` in `struct ip6t_entry`, after `struct ip6t_ip6` and `nfcache`.
const V6_TARGET_OFFSET: usize = 136 + 4;
/// `struct xt_entry_target`: size, name (empty for a standard target), revision.
const TARGET_NAME: usize = 2;
const TARGET_HEAD: usize = 32;
/// What `struct xt_standard_target` says for a policy DROP: `-NF_DROP - 1`.
const VERDICT_DROP: i32 = -1;

/// The largest table that is read: some 400,000 rules.
const LARGEST: usize = 64 << 20;
/// Times the table is read when others change it meanwhile.
const ATTEMPTS: u32 = 10;

/// Whether the filter table of iptables-legacy (ip6tables-legacy) of the calling thread's
/// namespace exists and its chain FORWARD has the policy DROP. Costs one look at `/proc` where
/// there is no such table; else time that grows with its rules, as the kernel gives it as a whole.
///
/// # Errors
/// The table is there and could not be read, or is larger than 64 MiB.
pub fn legacy_forward_drops(ipv4: bool) -> Result<bool, Error> {
    if !is_listed(ipv4)? {
        return Ok(false);
    }
    let action = if ipv4 {
        "read the filter table of iptables-legacy"
    } else {
        "read the filter table of ip6tables-legacy"
    };
    match policy(ipv4) {
        Ok(verdict) => Ok(verdict == VERDICT_DROP),
        // It went since.
        Err(Errno::NOENT) => Ok(false),
        Err(e) => Err(Error::os(action, e)),
    }
}

/// Whether there is a filter table. Without the module there is no list.
fn is_listed(ipv4: bool) -> Result<bool, Error> {
    let list = if ipv4 { "ip_tables_names" } else { "ip6_tables_names" };
    // `/proc/net` would be the namespace of the first thread.
    let path = Path::new("/proc/thread-self/net").join(list);
    match std::fs::read(&path) {
        Ok(names) => Ok(names.split(|byte| *byte == b'\n').any(|name| name == FILTER)),
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(Error::io(format!("read {}", path.display()), e)),
    }
}

/// The verdict of the policy of FORWARD.
fn policy(ipv4: bool) -> Result<i32, Errno> {
    let family = if ipv4 { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    let level = if ipv4 { libc::IPPROTO_IP } else { libc::IPPROTO_IPV6 };
    for _ in 0..ATTEMPTS {
        let mut info = request(INFO, 0);
        get(&socket, level, GET_INFO, &mut info)?;
        let size = word(&info, INFO_SIZE).ok_or(Errno::BADMSG)?;
        let length = ENTRIES_HEAD + usize::try_from(size).map_err(|_| Errno::FBIG)?;
        if length > LARGEST {
            return Err(Errno::FBIG);
        }
        let mut entries = request(length, size);
        match get(&socket, level, GET_ENTRIES, &mut entries) {
            Ok(()) => return verdict(ipv4, &info, &entries).ok_or(Errno::BADMSG),
            // It has another size by now.
            Err(Errno::AGAIN) => {}
            Err(e) => return Err(e),
        }
    }
    Err(Errno::AGAIN)
}

/// The verdict of the entry where FORWARD underflows: its policy, and always a standard target.
fn verdict(ipv4: bool, info: &[u8], entries: &[u8]) -> Option<i32> {
    let underflow = usize::try_from(word(info, INFO_UNDERFLOW + FORWARD * 4)?).ok()?;
    let entry = entries.get(ENTRIES_HEAD..)?.get(underflow..)?;
    let offset = if ipv4 { V4_TARGET_OFFSET } else { V6_TARGET_OFFSET };
    let offset = u16::from_ne_bytes(entry.get(offset..offset + 2)?.try_into().ok()?);
    let target = entry.get(usize::from(offset)..)?;
    if *target.get(TARGET_NAME)? != 0 {
        return None;
    }
    Some(i32::from_ne_bytes(target.get(TARGET_HEAD..TARGET_HEAD + 4)?.try_into().ok()?))
}

/// A buffer for an answer, which begins with the table's name and, where it is not 0, its size.
fn request(length: usize, size: u32) -> Vec<u8> {
    let mut buffer = FILTER.to_vec();
    buffer.resize(NAME, 0);
    buffer.extend_from_slice(&size.to_ne_bytes());
    buffer.resize(length, 0);
    buffer
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

fn get(socket: &OwnedFd, level: i32, option: i32, buffer: &mut [u8]) -> Result<(), Errno> {
    let mut length = libc::socklen_t::try_from(buffer.len()).map_err(|_| Errno::FBIG)?;
    #[expect(unsafe_code, reason = "no safe binding of the options of ip_tables")]
    // SAFETY: the kernel writes at most `length` bytes, which is the size of the live buffer.
    let result = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            level,
            option,
            buffer.as_mut_ptr().cast(),
            &raw mut length,
        )
    };
    if result == 0 {
        return Ok(());
    }
    Err(Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL))
}

#[cfg(test)]
mod tests;
