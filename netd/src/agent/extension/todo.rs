//! For which hosts a command is still to be run. Pure.
//!
//! What is known of a host replaces what was known before: however long a command takes, no more waits
//! than there are hosts.

use std::collections::{BTreeMap, VecDeque};

use super::super::beside::News;
use super::super::force::InForce;
use crate::lease::{ClusterEvent, Peer, SubnetKey};

/// What there is to do next.
#[derive(Debug)]
pub(super) enum Next {
    /// Something else is in force.
    Force(Box<InForce>),
    /// This host is gone.
    Gone(Peer),
    /// This host has come, or publishes something else.
    Come(Peer),
}

/// What is to be done, the oldest first.
#[derive(Debug, Default)]
pub(super) struct Todo {
    wanted: BTreeMap<SubnetKey, Peer>,
    /// For whom a command was run, and in which round.
    told: BTreeMap<SubnetKey, (u64, Peer)>,
    /// Who may differ, each once.
    queue: VecDeque<SubnetKey>,
    force: Option<Box<InForce>>,
    /// Another one with each change of what is in force.
    round: u64,
}

impl Todo {
    pub(super) fn take(&mut self, news: News) {
        match news {
            News::Force(force) => self.force = Some(force),
            News::Cluster(event) => self.note(event),
        }
    }

    fn note(&mut self, event: ClusterEvent) {
        match event {
            ClusterEvent::Reset(view) => {
                self.wanted = view.peers;
                self.all();
            }
            ClusterEvent::Put(peer) => {
                let key = peer.subnet;
                self.wanted.insert(key, peer);
                self.enqueue(key);
            }
            ClusterEvent::Deleted(key) => {
                self.wanted.remove(&key);
                self.enqueue(key);
            }
            ClusterEvent::Replaced { old, new } => {
                self.note(ClusterEvent::Deleted(old));
                self.note(ClusterEvent::Put(new));
            }
            ClusterEvent::Renewed(_) | ClusterEvent::Store(_) | ClusterEvent::Malformed { .. } => {}
        }
    }

    /// Takes out what is to be done next.
    pub(super) fn next(&mut self) -> Option<Next> {
        if let Some(force) = self.force.take() {
            self.round += 1;
            self.all();
            return Some(Next::Force(force));
        }
        while let Some(key) = self.queue.pop_front() {
            if !self.is_due(&key) {
                continue;
            }
            match self.wanted.get(&key).cloned() {
                Some(peer) => {
                    self.told.insert(key, (self.round, peer.clone()));
                    return Some(Next::Come(peer));
                }
                None => return self.told.remove(&key).map(|(_, peer)| Next::Gone(peer)),
            }
        }
        None
    }

    /// Those that are gone before those that have come.
    fn all(&mut self) {
        let gone = self.told.keys().filter(|key| !self.wanted.contains_key(key));
        let all: Vec<SubnetKey> = gone.chain(self.wanted.keys()).copied().collect();
        all.into_iter().for_each(|key| self.enqueue(key));
    }

    fn enqueue(&mut self, key: SubnetKey) {
        if self.is_due(&key) && !self.queue.contains(&key) {
            self.queue.push_back(key);
        }
    }

    fn is_due(&self, key: &SubnetKey) -> bool {
        match (self.told.get(key), self.wanted.get(key)) {
            (Some((round, before)), Some(now)) => *round != self.round || before.value != now.value,
            (None, None) => false,
            (Some(_), None) | (None, Some(_)) => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lease::{ClusterView, LeaseValue};

    fn peer(n: u8, ip: &str) -> Peer {
        let subnet = format!("10.5.{n}.0-24").parse().unwrap();
        Peer { subnet, value: LeaseValue::new(ip.parse().unwrap()), revision: 1, session: None }
    }

    fn put(n: u8, ip: &str) -> News {
        News::Cluster(ClusterEvent::Put(peer(n, ip)))
    }

    /// All that is to be done: `+` or `-`, and the third number of the subnet.
    fn done(todo: &mut Todo) -> Vec<String> {
        let text = |next| match next {
            Next::Come(peer) => format!("+{}", peer.subnet.v4.ip().octets()[2]),
            Next::Gone(peer) => format!("-{}", peer.subnet.v4.ip().octets()[2]),
            Next::Force(_) => "force".to_owned(),
        };
        std::iter::from_fn(|| todo.next()).map(text).collect()
    }

    #[test]
    fn each_host_is_told_of_once_in_the_order_of_the_events() {
        let mut todo = Todo::default();
        todo.take(put(3, "192.0.2.1"));
        todo.take(put(1, "192.0.2.1"));
        assert_eq!(done(&mut todo), ["+3", "+1"]);
        todo.take(put(1, "192.0.2.1"));
        assert!(done(&mut todo).is_empty());
        todo.take(put(1, "192.0.2.2"));
        assert_eq!(done(&mut todo), ["+1"]);
        let peers = [peer(1, "192.0.2.2"), peer(2, "192.0.2.9")];
        let peers = peers.map(|peer| (peer.subnet, peer)).into();
        todo.take(News::Cluster(ClusterEvent::Reset(ClusterView { peers })));
        assert_eq!(done(&mut todo), ["-3", "+2"]);
        let (old, new) = ("10.5.2.0-24".parse().unwrap(), peer(4, "192.0.2.9"));
        todo.take(News::Cluster(ClusterEvent::Replaced { old, new }));
        assert_eq!(done(&mut todo), ["-2", "+4"]);
        todo.take(News::Cluster(ClusterEvent::Reset(ClusterView::default())));
        assert_eq!(done(&mut todo), ["-1", "-4"]);
    }

    #[test]
    fn while_a_command_runs_no_more_waits_than_there_are_hosts() {
        let mut todo = Todo::default();
        for round in 0..100_u8 {
            for n in 0..3 {
                todo.take(put(n, &format!("192.0.2.{round}")));
            }
        }
        assert_eq!(todo.queue.len(), 3);
        assert_eq!(done(&mut todo), ["+0", "+1", "+2"]);
        // Gone and back, as it was: nothing has happened.
        let key = "10.5.1.0-24".parse().unwrap();
        todo.take(News::Cluster(ClusterEvent::Deleted(key)));
        todo.take(put(1, "192.0.2.99"));
        assert!(done(&mut todo).is_empty());
    }
}
