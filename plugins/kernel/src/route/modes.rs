//! Modes of macvlans and ipvlans, as the kernel numbers them.

use netlink_packet_route::link::{
    InfoIpVlan, IpVlanFlags, IpVlanMode as KernelIpVlanMode, MacVlanMode as KernelMacVlanMode,
};
use netstate::{IpVlanFlag, IpVlanMode, MacVlanMode};

/// The kernel's word for a macvlan's mode.
pub(super) fn macvlan(mode: MacVlanMode) -> KernelMacVlanMode {
    match mode {
        MacVlanMode::Private => KernelMacVlanMode::Private,
        MacVlanMode::Vepa => KernelMacVlanMode::Vepa,
        MacVlanMode::Bridge => KernelMacVlanMode::Bridge,
        MacVlanMode::Passthru => KernelMacVlanMode::Passthrough,
    }
}

/// What an ipvlan is made with.
pub(super) fn ipvlan(mode: IpVlanMode, flag: IpVlanFlag) -> Vec<InfoIpVlan> {
    let mode = match mode {
        IpVlanMode::L2 => KernelIpVlanMode::L2,
        IpVlanMode::L3 => KernelIpVlanMode::L3,
        IpVlanMode::L3s => KernelIpVlanMode::L3S,
    };
    let flags = match flag {
        IpVlanFlag::Bridge => IpVlanFlags::empty(),
        IpVlanFlag::Private => IpVlanFlags::Private,
        IpVlanFlag::Vepa => IpVlanFlags::Vepa,
    };
    vec![InfoIpVlan::Mode(mode), InfoIpVlan::Flags(flags)]
}

/// A macvlan's mode, if it is one that is known.
#[expect(clippy::wildcard_enum_match_arm, reason = "the foreign enum grows with the kernel")]
pub(super) fn read_macvlan(mode: KernelMacVlanMode) -> Option<MacVlanMode> {
    Some(match mode {
        KernelMacVlanMode::Private => MacVlanMode::Private,
        KernelMacVlanMode::Vepa => MacVlanMode::Vepa,
        KernelMacVlanMode::Bridge => MacVlanMode::Bridge,
        KernelMacVlanMode::Passthrough => MacVlanMode::Passthru,
        _ => return None,
    })
}

/// Before Linux 4.15 there was no flag, as if none were set.
#[expect(clippy::wildcard_enum_match_arm, reason = "the foreign enum grows with the kernel")]
pub(super) fn read_ipvlan(data: &[InfoIpVlan]) -> Option<(IpVlanMode, IpVlanFlag)> {
    let (mut mode, mut flag) = (None, IpVlanFlag::Bridge);
    for item in data {
        match item {
            InfoIpVlan::Mode(KernelIpVlanMode::L2) => mode = Some(IpVlanMode::L2),
            InfoIpVlan::Mode(KernelIpVlanMode::L3) => mode = Some(IpVlanMode::L3),
            InfoIpVlan::Mode(KernelIpVlanMode::L3S) => mode = Some(IpVlanMode::L3s),
            InfoIpVlan::Flags(flags) if flags.contains(IpVlanFlags::Private) => {
                flag = IpVlanFlag::Private;
            }
            InfoIpVlan::Flags(flags) if flags.contains(IpVlanFlags::Vepa) => {
                flag = IpVlanFlag::Vepa;
            }
            _ => {}
        }
    }
    Some((mode?, flag))
}
