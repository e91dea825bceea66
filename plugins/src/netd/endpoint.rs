//! DEL where no netd runs: by the record of what it has made, and then the file by which it would take
//! the endpoint up again.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use attach::{Record, direct, overlay};
use cni::{Error, Request, json};
use drivers::Owner;
use netd_api::endpoints;
use serde::Deserialize;

use crate::attachment::{self, attach_error};
use crate::portmap::forget_flows;
use crate::removal;

/// Where netd is run, unless told otherwise.
const RUN_DIR: &str = "/run/netd";

/// What must be known of an endpoint.
#[derive(Deserialize, Default)]
#[serde(default, rename_all = "camelCase")]
struct Endpoint {
    network_name: String,
    container: String,
    ifname: String,
}

/// Takes an attachment away, whatever is left of it.
pub(super) fn undo(request: &Request, network: &str) -> Result<(), Error> {
    let mut request = request.clone();
    network.clone_into(&mut request.conf.name);
    let (store, owner) = (attachment::store()?, attachment::owner(&request));
    removal::undo(&request, super::NAME, Vec::new(), beside)?;
    forget_file(&owner)?;
    // netd may have died when the attachment was gone, and its way out was not.
    let of_container = store.list(None, Some(super::NAME)).map_err(|e| attach_error(&e))?;
    let of_container = of_container.into_iter().flatten();
    let of_container: Vec<Record> =
        of_container.filter(|one| one.owner.container_id == owner.container_id).collect();
    if of_container.iter().any(overlay::is_on_one) {
        return Ok(());
    }
    // Its way out goes with the last one.
    of_container.iter().filter(|one| overlay::is_way_out(one)).try_for_each(|way_out| {
        removal::forget(&store, way_out, beside)?;
        forget_file(&way_out.owner)
    })
}

/// Removes an endpoint's file.
fn forget_file(owner: &Owner) -> Result<(), Error> {
    match file(&Path::new(RUN_DIR).join(endpoints::DIR), owner) {
        None => Ok(()),
        Some(path) => match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::io(format!("remove {}: {error}", path.display())))
            }
            Ok(()) | Err(_) => Ok(()),
        },
    }
}

/// What is not on the host, and flows.
fn beside(record: &Record) -> Result<(), Error> {
    let mut left = direct::take_away(record);
    left.extend(overlay::take_away(record));
    if !left.is_empty() {
        return Err(attach_error(&attach::Error::Left { left }));
    }
    forget_flows(record)
}

/// The endpoint's file. Its name alone does not tell: containers and interfaces may have dashes.
fn file(dir: &Path, owner: &Owner) -> Option<PathBuf> {
    let name = endpoints::file(&endpoints::key(&owner.container_id, &owner.ifname));
    let networks = fs::read_dir(dir).into_iter().flatten().flatten();
    networks.map(|network| network.path().join(&name)).find(|path| {
        let endpoint = fs::read(path).ok().and_then(|bytes| json::parse(&bytes).ok());
        let endpoint: Option<Endpoint> = endpoint.and_then(|value| json::decode(&value).ok());
        endpoint.is_some_and(|endpoint| {
            endpoint.network_name == owner.network
                && endpoint.container == owner.container_id
                && endpoint.ifname == owner.ifname
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::request;

    #[test]
    fn the_file_of_an_endpoint_is_found_by_what_is_in_it() {
        let dir = tempfile::tempdir().expect("a directory");
        let put = |network: &str, text: &str| {
            let network = dir.path().join(network);
            fs::create_dir(&network).expect("a directory");
            fs::write(network.join("c1-eth0.json"), text).expect("a file");
        };
        put("aa", r#"{"networkName":"other","container":"c1","ifname":"eth0"}"#);
        put("bb", "{");
        put("cc", r#"{"networkName":"net","container":"c1","ifname":"eth0","made":true}"#);
        let owner = attachment::owner(&request(""));
        let found = file(dir.path(), &owner).expect("found");
        assert_eq!(found, dir.path().join("cc/c1-eth0.json"));
        fs::remove_file(&found).expect("removed");
        assert_eq!(file(dir.path(), &owner), None);
        assert_eq!(file(Path::new("/nowhere"), &owner), None);
    }
}
