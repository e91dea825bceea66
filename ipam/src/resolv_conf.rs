//! `resolv.conf` as the reference's host-local reads it (`plugins/ipam/host-local/dns.go`).
//!
//! Pure: takes the text, not the path. More lenient than a resolver: nothing is an error, no
//! value is checked, since the result is handed on to whoever writes the container's file.

/// What a `resolv.conf` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvConf {
    /// `nameserver` lines, in order, as written (an IPv6 address may carry a zone).
    pub nameservers: Vec<String>,
    /// The last `domain` line.
    pub domain: Option<String>,
    /// The words of all `search` lines, in order.
    pub search: Vec<String>,
    /// The words of all `options` lines, in order.
    pub options: Vec<String>,
}

impl ResolvConf {
    /// Reads the text. Lines that start with `#` or `;`, lines with a keyword alone and unknown
    /// keywords are skipped; of `nameserver` and `domain` only the first value counts.
    pub fn parse(text: &str) -> Self {
        let mut conf = Self::default();
        for line in text.lines().map(str::trim) {
            if line.starts_with(['#', ';']) {
                continue;
            }
            let mut words = line.split_whitespace();
            let (Some(keyword), Some(first)) = (words.next(), words.next()) else {
                continue;
            };
            let values = || std::iter::once(first).chain(words).map(str::to_owned);
            match keyword {
                "nameserver" => conf.nameservers.push(first.to_owned()),
                "domain" => conf.domain = Some(first.to_owned()),
                "search" => conf.search.extend(values()),
                "options" => conf.options.extend(values()),
                _ => {}
            }
        }
        conf
    }
}

#[cfg(test)]
mod tests;
