//! Attachments to overlays: the end that is not the container's is in the network's namespace. The record
//! says so in notes, so that it is found there without whoever made it.

use std::path::{Path, PathBuf};

use kernel::{Kernel, Pins};
use netstate::{LinkName, Ns, NsNames, Op, Plan, Step};

use crate::record::Record;
use crate::wiring;

/// The key of the note with the path of the network's namespace and the link in it.
const END: &str = "overlay";

/// The key of the note of an attachment that is there for the way out of those to overlays.
const WAY_OUT: &str = "wayOut";

/// Notes where the end is that is not the container's.
pub fn note(record: &mut Record, netns: &Path, link: &LinkName) {
    record.notes.insert(END.to_owned(), format!("{link} {}", netns.display()));
}

/// Notes that an attachment is there for the way out of overlays alone.
pub fn note_way_out(record: &mut Record) {
    record.notes.insert(WAY_OUT.to_owned(), "overlays".to_owned());
}

/// Whether an attachment is to an overlay.
#[must_use]
pub fn is_on_one(record: &Record) -> bool {
    record.notes.contains_key(END)
}

/// Whether an attachment is there for the way out of its container's overlays alone.
#[must_use]
pub fn is_way_out(record: &Record) -> bool {
    record.notes.contains_key(WAY_OUT)
}

/// Takes away what was noted; returns the commands that failed, with reasons. In a namespace that is
/// gone nothing is left.
pub fn take_away(record: &Record) -> Vec<String> {
    let Some((link, path)) = record.notes.get(END).and_then(|note| note.split_once(' ')) else {
        return Vec::new();
    };
    let path = PathBuf::from(path);
    let (Ok(link), Some(dir), Some(name)) = (LinkName::new(link), path.parent(), path.file_name())
    else {
        return Vec::new();
    };
    match Pins::of_host(dir.to_owned()).open(&name.to_string_lossy()) {
        Ok(None) => Vec::new(),
        Err(error) => vec![cni::ErrorChain(&error).to_string()],
        Ok(Some(netns)) => {
            let mut kernel = Kernel::open(None).with_overlay(&netns);
            let step = Step::fresh(Ns::Overlay, Op::DelLink(link));
            let overlay = path.to_string_lossy().into_owned();
            let names = NsNames { overlay, ..NsNames::default() };
            wiring::remove(&mut kernel, &Plan { steps: vec![step] }, &names)
        }
    }
}
