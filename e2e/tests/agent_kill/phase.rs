//! What the agent does while it is cut.

use std::fmt;

use crate::ground::Ground;
use crate::state::{NOT_ANEW, UNTIL};

/// What the agent does while it is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Starts on a host, and in a store, that knows nothing of it.
    First,
    /// Starts after a boot: it has its state directory and its lease, the kernel has nothing.
    Boot,
    /// Starts after it was killed: all is there.
    Again,
    /// Follows another network configuration: a wider network, another MTU, IPv6 beside IPv4.
    Config,
    /// Follows another address of the interface between hosts.
    Address,
    /// Takes its lease again, which an administrator has deleted.
    Deleted,
    /// Loses its lease, which another host has written over, while a container has an address of it.
    Lost,
    /// Starts when it is lost.
    StartLost,
    /// Gives it up, as an administrator has taken another one for it (`netd lease acquire --new`).
    GivenUp,
    /// Writes again what the store has lost, which was built anew, as the other host does.
    Anew,
    /// Starts after a boot while the store is away.
    Resume,
    /// Ends at SIGTERM.
    Stop,
    /// `netd cleanup`.
    Cleanup,
    /// `netd leave`.
    Leave,
    /// As `First`, in a network of both families.
    Dual,
    /// As `First`, with backend `host-gw`.
    HostGw,
    /// As `First`, with backend `udp`.
    Udp,
    /// As `First`, in two networks.
    Networks,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

impl Phase {
    pub(crate) const ALL: [Self; 18] = [
        Self::First,
        Self::Boot,
        Self::Again,
        Self::Config,
        Self::Address,
        Self::Deleted,
        Self::Lost,
        Self::StartLost,
        Self::GivenUp,
        Self::Anew,
        Self::Resume,
        Self::Stop,
        Self::Cleanup,
        Self::Leave,
        Self::Dual,
        Self::HostGw,
        Self::Udp,
        Self::Networks,
    ];

    pub(crate) fn ground(self) -> Ground {
        let others = [
            (Self::Dual, Ground::Dual),
            (Self::HostGw, Ground::HostGw),
            (Self::Udp, Ground::Udp),
            (Self::Networks, Ground::Networks),
        ];
        let other = others.into_iter().find(|(phase, _)| *phase == self);
        other.map_or(Ground::Vxlan, |(_, ground)| ground)
    }

    /// Whether it begins on a host that knows nothing.
    pub(crate) fn is_of_new_host(self) -> bool {
        matches!(
            self,
            Self::First
                | Self::Config
                | Self::GivenUp
                | Self::Anew
                | Self::Dual
                | Self::HostGw
                | Self::Udp
                | Self::Networks
        )
    }

    /// Whether it is about an agent that runs before.
    pub(crate) fn runs_before(self) -> bool {
        matches!(
            self,
            Self::Config
                | Self::Address
                | Self::Deleted
                | Self::Lost
                | Self::GivenUp
                | Self::Anew
                | Self::Stop
        )
    }

    /// Whether the program ends by itself.
    pub(crate) fn ends(self) -> bool {
        matches!(self, Self::Stop | Self::Cleanup | Self::Leave)
    }

    /// Whether what it does about files other than the host's store is not what another one does.
    pub(crate) fn has_files(self) -> bool {
        !matches!(self, Self::Dual | Self::HostGw | Self::Udp)
    }

    /// Whether what is waited for is the agent's own pause of some seconds, or the store's start.
    pub(crate) fn is_slow(self) -> bool {
        matches!(self, Self::GivenUp | Self::Anew)
    }

    /// The command of one that is not about an agent that runs.
    pub(crate) fn command(self) -> Option<&'static str> {
        let commands = [(Self::Cleanup, "cleanup"), (Self::Leave, "leave")];
        commands.into_iter().find(|(phase, _)| *phase == self).map(|(_, command)| command)
    }

    /// The phase whose end is to be seen once the agent was started again.
    pub(crate) fn after_restart(self) -> Self {
        let is_other = matches!(
            self,
            Self::Config | Self::StartLost | Self::GivenUp | Self::Anew | Self::Resume
        );
        if self == Self::Lost {
            Self::StartLost
        } else if is_other || self.ground() != Ground::Vxlan {
            self
        } else {
            Self::First
        }
    }

    /// Whether a host at the end of it is as at the end of `First`, once the store is put right.
    pub(crate) fn leaves_host_whole(self) -> bool {
        matches!(self, Self::First | Self::Lost | Self::StartLost | Self::Resume)
    }

    /// Whether a state is one at the end of it.
    pub(crate) fn is_over(self, state: &str) -> bool {
        let peers = state.matches("remembers /cluster/").count() > 0
            && state.matches("/peers/").count() >= self.ground().configs().len();
        let ready = state.contains("flanneld is ready") && peers;
        match self {
            Self::First | Self::Boot | Self::Again | Self::Dual | Self::HostGw | Self::Udp => ready,
            Self::Anew => {
                let live = ["OWN", "PEER"].map(|host| format!("/hosts/{host}-MACHINE/live/"));
                ready && state.contains(UNTIL) && live.iter().all(|live| state.contains(live))
            }
            Self::Networks => ready && state.contains("OWN-blue") && state.contains("OWN-green"),
            Self::Config => {
                ready && state.contains("FLANNEL_IPV6_NETWORK") && state.contains("OWN-SUBNET6")
            }
            Self::Address => ready && state.contains("local OWN-ADDRESS "),
            Self::Deleted => ready && state.contains("/subnets/OWN-SUBNET"),
            Self::Lost | Self::StartLost => {
                peers && state.contains("the host at 192.0.2.77 has it")
            }
            Self::GivenUp => ready && state.contains("FLANNEL_SUBNET=OWN-SUBNET"),
            Self::Resume => ready && state.contains("the store is away"),
            Self::Stop | Self::Cleanup | Self::Leave => !state.contains("flanneld is ready"),
        }
    }

    /// What of a state matters at the end of it: when the agent has ended, its sign of life may be
    /// there for its time.
    pub(crate) fn about(self, state: &str) -> String {
        let may_be = matches!(self, Self::Stop | Self::Cleanup | Self::Resume);
        let of_life = |line: &&str| !(may_be && line.contains("/OWN-MACHINE/live/"));
        let known: String = state.lines().filter(of_life).map(|line| format!("{line}\n")).collect();
        if self != Self::Anew {
            return known;
        }
        // One that starts, or tries again, after the other host has registered takes the store for the one of
        // before, and misses nobody.
        let of_missing = |line: &&str| !line.contains("/missing/");
        let known = known.replace(NOT_ANEW, UNTIL);
        known.lines().filter(of_missing).map(|line| format!("{line}\n")).collect()
    }
}
