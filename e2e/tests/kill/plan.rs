//! All the places where calls are cut.

use std::collections::BTreeMap;

use e2e::points::{END, Errno, How, is_own, may_change};

use crate::point::{At, Ground, Point, Recovery, Verb};

/// How often a call with a verb, of a plugin, makes a system call of that name, or sends one of
/// [`MESSAGES`].
pub(crate) type Calls = BTreeMap<(Ground, Verb, usize, String), usize>;

/// Among the names of system calls, netlink messages: those that change something, and those that ask.
const MESSAGES: [&str; 2] = ["message", "look"];

const CALL_ERRORS: [Errno; 3] = [Errno::EIO, Errno::ENOSPC, Errno::ENOMEM];
const MESSAGE_ERRORS: [Errno; 3] = [Errno::EPERM, Errno::ENOMEM, Errno::EBUSY];

/// The points at which to cut calls that do so much, each once for DEL and once for GC.
pub(crate) fn points(calls: &Calls) -> Vec<Point> {
    let mut points = Vec::new();
    for ((ground, verb, plugin, name), count) in calls {
        for number in 0..*count {
            let (at, errors) = if let Some(kind) = MESSAGES.into_iter().find(|kind| name == kind) {
                (At::Message(kind, number), MESSAGE_ERRORS)
            } else {
                (At::Call(name.clone(), number + 1), CALL_ERRORS)
            };
            for how in ways(*ground, *verb, name, errors[number % errors.len()]) {
                for recovery in [Recovery::Del, Recovery::Gc] {
                    let (ground, verb, plugin, at) = (*ground, *verb, *plugin, at.clone());
                    points.push(Point { ground, verb, plugin, at, how, recovery });
                }
            }
        }
    }
    points
}

/// How to cut at a place.
///
/// Death comes before the call is made. So it is the same at each call from behind one that changes
/// something up to the next one that does, that included, and the program is killed there alone;
/// after the last of them, where it ends. Failure is another at each call, as what the program does
/// then is. What fails from there on (ADD, on a used host) is what changes something.
fn ways(ground: Ground, verb: Verb, name: &str, errno: Errno) -> Vec<How> {
    let (own, changes) = (is_own(name), may_change(name));
    let mut ways = Vec::new();
    if changes || name == END {
        ways.push(How::Killed);
    }
    if !own {
        ways.push(How::Failed(errno));
    }
    if changes && (ground, verb) == (Ground::Used, Verb::Add) {
        ways.push(How::Broken(errno));
    }
    // A fresh host adds nothing to DEL: ADD has made it a used one.
    if (ground, verb) == (Ground::Fresh, Verb::Del) { Vec::new() } else { ways }
}
