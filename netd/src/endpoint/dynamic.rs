//! Which ports of the host are given out where any will do: those that its kernel gives out itself, as Docker
//! does (`libnetwork/portallocator` of moby, 28).

/// Where the host does not say; Docker's.
const ELSE: (u16, u16) = (49_153, 65_535);

/// Ports that may be given out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dynamic {
    range: (u16, u16),
    /// Ranges in it that are somebody's, both ends included.
    reserved: Vec<(u16, u16)>,
}

impl Default for Dynamic {
    fn default() -> Self {
        Self { range: ELSE, reserved: Vec::new() }
    }
}

impl Dynamic {
    /// By the texts of the sysctls `net.ipv4.ip_local_port_range`, as `32768\t60999`, and
    /// `net.ipv4.ip_local_reserved_ports`, as `8080,9000-9010`. What is no range counts as not said.
    #[must_use]
    pub fn of(range: &str, reserved: &str) -> Self {
        let mut ends = range.split_whitespace().map(str::parse);
        let range = match (ends.next(), ends.next()) {
            (Some(Ok(from)), Some(Ok(to))) if 0 < from && from <= to => (from, to),
            _ => ELSE,
        };
        let each = |text: &str| {
            let (from, to) = text.split_once('-').unwrap_or((text, text));
            Some((from.parse().ok()?, to.parse().ok()?))
        };
        Self { range, reserved: reserved.trim().split(',').filter_map(each).collect() }
    }

    /// The first and the last.
    #[must_use]
    pub fn range(&self) -> (u16, u16) {
        self.range
    }

    /// Whether one of them is somebody's.
    #[must_use]
    pub fn is_reserved(&self, port: u16) -> bool {
        self.reserved.iter().any(|(from, to)| (*from..=*to).contains(&port))
    }
}
