//! DEL of one stale attachment.
//!
//! Its namespace is not passed on: it is gone, and at its path may be another container's.

use attach::Record;
use cni::Error;
use cni::json::{Object, Value};
use cni::runtime::{Container, NetworkList};

use super::Sweep;
use super::known::Known;

impl Sweep<'_> {
    /// Whether the network wants no garbage collection: by the list of the ADD, or as it is now.
    pub(super) fn is_excluded(&self, known: &Known) -> bool {
        let now = self.runtime.network(&known.key.network).ok();
        [list_of_add(known), now].iter().flatten().any(|list| list.disable_gc)
    }

    /// Removes an attachment by a DEL with the list of its ADD, or else with the network of that
    /// name as it is configured now. What has a record then still, because that list has other
    /// plugins or there is none, is removed by a DEL of each recording plugin, which needs no
    /// more than the record. Gives notes of what may be left.
    ///
    /// # Errors
    /// What plugins answer; code 7 where there is neither a list nor a record.
    pub(super) fn del(&self, known: &Known) -> Result<Vec<String>, Error> {
        let container = container(known);
        let mut notes = Vec::new();
        let now = || self.runtime.network(&known.key.network);
        match list_of_add(known).map_or_else(now, Ok) {
            Ok(list) => self.runtime.del(&list, &container)?,
            Err(error) if known.records.is_empty() => return Err(error),
            Err(error) => notes.push(format!(
                "{} {}: without the configuration of network {:?} only what is recorded could be \
                 removed; an address that its IPAM plugin reserved stays: {error}",
                known.key.container_id, known.key.ifname, known.key.network
            )),
        }
        let recorded: Vec<&Record> = known.records.iter().filter(|r| self.is_recorded(r)).collect();
        if !recorded.is_empty() {
            self.runtime.del(&list_of_records(&known.key.network, &recorded)?, &container)?;
        }
        Ok(notes)
    }

    /// A record that cannot be read any more is still there.
    fn is_recorded(&self, record: &Record) -> bool {
        !matches!(self.records.get(&record.owner, &record.plugin), Ok(None))
    }
}

/// The list as it was at ADD, as the cache keeps it.
fn list_of_add(known: &Known) -> Option<NetworkList> {
    let config = known.cached.as_ref()?.config.clone();
    let list = NetworkList::parse(config).ok()?;
    Some(list).filter(|list| list.name == known.key.network && !list.plugins.is_empty())
}

/// The plugins that keep records, with no configuration but their names.
fn list_of_records(network: &str, records: &[&Record]) -> Result<NetworkList, Error> {
    let plugin = |record: &&Record| {
        let mut plugin = Object::new();
        plugin.set("type", record.plugin.as_str());
        Value::Object(plugin)
    };
    let mut list = Object::new();
    list.set("cniVersion", cni::Version::NEWEST.as_str());
    list.set("name", network);
    list.set("plugins", records.iter().map(plugin).collect::<Vec<_>>());
    NetworkList::parse(Value::Object(list).to_string().into_bytes())
}

fn container(known: &Known) -> Container {
    let cached = known.cached.as_ref().map(|cached| cached.container.clone());
    let named = Container {
        id: known.key.container_id.clone(),
        ifname: known.key.ifname.clone(),
        ..Container::default()
    };
    Container { netns: None, ..cached.unwrap_or(named) }
}
