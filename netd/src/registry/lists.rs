//! The networks as files for runtimes: one CNI list for each in a directory of netd's own, and for those
//! that ask for it one where the host's runtimes look. A list is a view of what is written down in
//! [`super::book`]: the start makes all of them right.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use netd_api::file::{Modes, replace};

use super::LISTS;
use crate::network::{Network, network_of_list};

/// For everybody to read, as all lists.
const MODES: Modes = Modes { file: 0o644, dir: 0o755 };

/// Where lists are written.
#[derive(Debug)]
pub(super) struct Lists {
    own: PathBuf,
    published: PathBuf,
    /// One could not be written.
    missing: AtomicBool,
}

impl Lists {
    /// In `net.d` of the run directory, and in the directory of the host's runtimes.
    pub(super) fn new(run_dir: &Path, published: &Path) -> Self {
        let own = run_dir.join(LISTS);
        Self { own, published: published.to_owned(), missing: AtomicBool::default() }
    }

    /// Writes what could not be written before.
    pub(super) fn again<'n>(&self, networks: impl Iterator<Item = &'n Network> + Clone) {
        if self.missing.swap(false, Ordering::Relaxed) {
            self.sync(networks);
        }
    }

    /// Makes all files those of these networks.
    pub(super) fn sync<'n>(&self, networks: impl Iterator<Item = &'n Network> + Clone) {
        for network in networks.clone() {
            self.keep(network).iter().for_each(|problem| tracing::warn!("{problem}"));
        }
        let names: Vec<String> = networks.clone().map(Network::list_file).collect();
        self.sweep(&self.own, |name, _| !names.iter().any(|known| known == name));
        let public: Vec<&Network> = networks.filter(|network| network.is_published()).collect();
        self.sweep(&self.published, |name, path| {
            !public.iter().any(|network| network.published_file() == name) && is_ours(path)
        });
    }

    /// Writes a network's list; gives what its user is to be told where that fails. The network is
    /// there all the same, and it is tried again.
    pub(super) fn keep(&self, network: &Network) -> Vec<String> {
        let text = network.conflist();
        let own = self.own.join(network.list_file());
        let mut problems: Vec<String> = self.write(&own, &text).err().into_iter().collect();
        if network.is_published() {
            let path = self.published.join(network.published_file());
            problems.extend(match path.symlink_metadata().is_ok() && !is_ours(&path) {
                true => Some(format!(
                    "{} is somebody else's: network {} is not published; remove or rename the file, \
                     and restart netd",
                    path.display(),
                    network.name
                )),
                false => self.write(&path, &text).err(),
            });
        }
        problems
    }

    /// Removes a network's list.
    pub(super) fn remove(&self, network: &Network) {
        let published = self.published.join(network.published_file());
        let published = Some(published).filter(|path| is_ours(path));
        for path in std::iter::once(self.own.join(network.list_file())).chain(published) {
            remove(&path);
        }
    }

    fn write(&self, path: &Path, text: &str) -> Result<(), String> {
        if fs::read(path).is_ok_and(|there| there == text.as_bytes()) {
            return Ok(());
        }
        replace(path, text.as_bytes(), MODES).map_err(|error| {
            self.missing.store(true, Ordering::Relaxed);
            format!("the CNI list {} is not written: {error}", path.display())
        })
    }

    fn sweep(&self, dir: &Path, is_gone: impl Fn(&str, &Path) -> bool) {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let (name, path) = (entry.file_name(), entry.path());
            let name = name.to_string_lossy();
            // A draft is that of a writer who was killed.
            let is_list = name.ends_with(".conflist") || name.ends_with(".conflist.new");
            let is_named = dir == self.own || name.trim_start_matches('.').starts_with("zz-netd-");
            if is_list && is_named && is_gone(&name, &path) {
                remove(&path);
            }
        }
    }
}

fn remove(path: &Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            tracing::warn!(file = %path.display(), %error, "a CNI list of no network stays");
        }
        Ok(()) | Err(_) => {}
    }
}

/// Whether netd has written a file. A link is somebody else's, wherever it leads to.
fn is_ours(path: &Path) -> bool {
    let is_file = |path: &Path| -> io::Result<bool> { Ok(path.symlink_metadata()?.is_file()) };
    is_file(path).unwrap_or(false)
        && fs::read(path).is_ok_and(|bytes| network_of_list(&bytes).is_some())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::network::{Moment, PUBLISH, Pools, of_new_host};

    fn names(dir: &Path) -> Vec<String> {
        let all = fs::read_dir(dir).into_iter().flatten().flatten();
        let mut all: Vec<String> =
            all.map(|entry| entry.file_name().into_string().unwrap()).collect();
        all.sort();
        all
    }

    fn network(name: &str, publish: bool) -> Network {
        let mut network = of_new_host(Moment::now(), &Pools::new(None), &[], &[]).remove(0);
        network.name = name.to_owned();
        if publish {
            network.options.insert(PUBLISH.to_owned(), "true".to_owned());
        }
        network
    }

    #[test]
    fn lists_follow_the_networks_and_those_of_others_stay() {
        let dir = tempfile::tempdir().unwrap();
        let (run, public) = (dir.path().join("run"), dir.path().join("net.d"));
        let (own, lists) = (run.join("net.d"), Lists::new(&run, &public));
        let (a, b) = (network("a", false), network("b", true));
        lists.sync([&a, &b].into_iter());
        assert_eq!(names(&own), ["a.conflist", "b.conflist"]);
        assert_eq!(names(&public), ["zz-netd-b.conflist"]);
        assert_eq!(fs::read_to_string(own.join("b.conflist")).unwrap(), b.conflist());

        // What others have there.
        let theirs = public.join("zz-netd-c.conflist");
        fs::write(&theirs, "{}").unwrap();
        fs::write(public.join("10-x.conflist"), b.conflist()).unwrap();
        symlink(own.join("a.conflist"), public.join("zz-netd-d.conflist")).unwrap();
        let told = lists.keep(&network("c", true));
        assert!(told.concat().contains("zz-netd-c.conflist is somebody else's"), "{told:?}");
        assert_eq!(fs::read_to_string(&theirs).unwrap(), "{}");
        lists.remove(&network("c", true));
        lists.remove(&b);
        lists.sync([&a].into_iter());
        assert_eq!(names(&own), ["a.conflist"]);
        let stay = ["10-x.conflist", "zz-netd-c.conflist", "zz-netd-d.conflist"];
        assert_eq!(names(&public), stay);

        // Of a network that was removed while netd did not run, and of a writer that was killed.
        lists.keep(&b);
        fs::write(own.join(".a.conflist.new"), "{").unwrap();
        lists.sync([&a].into_iter());
        assert_eq!(
            (names(&own), names(&public)),
            (vec!["a.conflist".to_owned()], stay.map(str::to_owned).to_vec())
        );
    }

    #[test]
    fn a_directory_that_cannot_be_made_is_told_and_no_more() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("file"), "").unwrap();
        let lists = Lists::new(dir.path(), &dir.path().join("file/net.d"));
        let told = lists.keep(&network("a", true));
        assert!(told.len() == 1 && told.concat().contains("file/net.d"), "{told:?}");
        assert_eq!(names(&dir.path().join("net.d")), ["a.conflist"]);
    }
}
