//! That this host's agent runs.

use super::{Keeping, Silent, alive};
use crate::global::record::{Live, Member, encode};
use crate::lease::since_boot;
use crate::store::{Error, Txn};

impl Keeping {
    /// The sign of life of the last agent is gone on with, so that its end is never seen.
    pub(super) async fn live(&mut self, member: &Member) -> Result<(), Silent> {
        let inner = &self.cluster.0;
        let key = inner.keys.live(self.cluster.machine());
        if let Some(session) = self.live {
            let is_there = !self.cluster.is_told() || self.is_own();
            let is_fresh = since_boot() < self.live_due;
            if is_there && (is_fresh || alive(inner.store.keep_alive(session).await)?) {
                self.given(is_fresh);
                return Ok(());
            }
            self.live = None;
        }
        let (mut txn, mut last_life) = (Txn::new().if_absent(&key), None);
        if let Some(entry) = inner.store.get(&key).await? {
            txn = Txn::new().if_unchanged(&key, entry.mod_revision);
            let there: Option<Live> = serde_json::from_slice(&entry.value).ok();
            let other = there.filter(|there| there.boot_id != inner.host.boot_id);
            match (other, entry.session) {
                (Some(other), _) if !self.is_last_life(member).await? => {
                    return Err(Silent::Twin { host: other.host });
                }
                // Nothing of it runs any more. Its sign of life is written over, so that no other host
                // sees this one without.
                (Some(_), session) => last_life = session,
                (None, Some(session)) if alive(inner.store.keep_alive(session).await)? => {
                    self.live = Some(session);
                    self.given(false);
                    return Ok(());
                }
                (None, _) => {}
            }
        }
        let session = inner.store.grant(self.life()).await?;
        let live = Live { boot_id: inner.host.boot_id.clone(), host: inner.host.name.clone() };
        let written = self.cluster.commit(txn.put(&key, encode(&live), Some(session))).await;
        // What is not needed would end by itself, too.
        let unneeded = match &written {
            Ok(outcome) if outcome.committed => last_life,
            Ok(_) | Err(_) => Some(session),
        };
        if let Some(unneeded) = unneeded {
            drop(inner.store.revoke(unneeded).await);
        }
        // Who was first is seen at the next attempt: nothing is written until then.
        if !written?.committed {
            return Err(Silent::Raced);
        }
        self.live = Some(session);
        self.given(false);
        Ok(())
    }

    /// Whether the sign of life that is known is this host's.
    fn is_own(&self) -> bool {
        let inner = &self.cluster.0;
        self.cluster.look(|view| {
            let live = view.host(self.cluster.machine()).and_then(|host| host.live.as_ref());
            live.is_some_and(|live| live.value.boot_id == inner.host.boot_id)
        })
    }

    /// Whether who has this host's machine id, and was booted at another time, is this host before it was
    /// booted: it was reached by the same address, which two hosts that live cannot be.
    async fn is_last_life(&self, member: &Member) -> Result<bool, Error> {
        let inner = &self.cluster.0;
        let (Some(vtep), false) = (member.vtep, self.has_lived) else { return Ok(false) };
        let there = inner.store.get(&inner.keys.member(self.cluster.machine())).await?;
        let there = there.and_then(|it| serde_json::from_slice::<Member>(&it.value).ok());
        Ok(there.is_some_and(|there| there.vtep == Some(vtep)))
    }

    /// A sign of life was given, unless one was lately.
    fn given(&mut self, is_fresh: bool) {
        self.has_lived = true;
        if !is_fresh {
            self.live_due = since_boot() + self.life() / 3;
        }
    }
}
