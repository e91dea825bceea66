//! Watches.

use etcd_client::{Client, EventType, GetOptions, WatchOptions, WatchResponse, WatchStream};
use futures_util::stream::{self, BoxStream, StreamExt};

use super::{Etcd, LARGEST_ANSWER, entry, fault, history_of, revision_of};
use crate::store::{Change, Error, Event, Fault, Position, Revision};

/// Where a watch is.
enum State {
    Begin(Position),
    Running { watch: Box<WatchStream>, known: Revision },
    Ended,
}

/// Tells of all changes after a revision to keys that begin with `prefix`.
pub(super) fn stream(
    etcd: Etcd,
    prefix: String,
    after: Position,
) -> BoxStream<'static, Result<Event, Error>> {
    let start = (etcd, prefix, State::Begin(after));
    stream::unfold(start, |(etcd, prefix, state)| async move {
        let next = match state {
            State::Begin(after) => begin(&etcd, &prefix, &after).await,
            State::Running { watch, known } => run(&etcd, &prefix, watch, known).await,
            State::Ended => None,
        };
        next.map(|(item, state)| (item, (etcd, prefix, state)))
    })
    .boxed()
}

type Next = Option<(Result<Event, Error>, State)>;

async fn begin(etcd: &Etcd, prefix: &str, from: &Position) -> Next {
    let after = from.revision;
    let opened = etcd
        .call(&format!("watch {prefix}"), async |client: Client| {
            let options = WatchOptions::new()
                .with_prefix()
                .with_start_revision(after + 1)
                .with_progress_notify();
            let mut watching = client.watch_client().max_decoding_message_size(LARGEST_ANSWER);
            let mut watch = watching.watch(prefix, Some(options)).await?;
            let first = watch.message().await?;
            // Not before: the watch of a store that is replaced after it was asked would not tell.
            let past = past(&client, from).await?;
            let mut revision = first.as_ref().map_or(0, |first| revision_of(first.header()));
            if first.is_some() && revision < after {
                // A member may lag behind the others, for whom it answers here.
                let options = Some(GetOptions::new().with_count_only());
                revision = revision_of(client.kv_client().get(prefix, options).await?.header());
            }
            Ok((watch, first, past, revision))
        })
        .await;
    let (watch, first, past, revision) = match opened {
        Ok((watch, Some(first), past, revision)) => (Box::new(watch), first, past, revision),
        Ok((_, None, ..)) => return failed(prefix, closed()),
        Err(error) => return Some((Err(error), State::Ended)),
    };
    // From a revision in the future etcd would wait for ever.
    let history = history_of(first.header());
    if let Some(reason) = from.contradiction(revision, history) {
        return Some((Ok(Event::Anew(reason)), State::Ended));
    }
    if let Some(end) = end_of(prefix, &first) {
        return end;
    }
    match past {
        Past::Same => {}
        Past::Forgotten => return resync(format!("etcd has forgotten revision {after}")),
        Past::Another(key, at) => {
            let reason = format!("{key} is not what it was at revision {at}");
            return Some((Ok(Event::Anew(reason)), State::Ended));
        }
    }
    let item = Event::Changes { revision: after, changes: Vec::new() };
    Some((Ok(item), State::Running { watch, known: after }))
}

/// What etcd knows of a point in its history.
enum Past {
    /// The witness was there.
    Same,
    /// Another entry or none was there, of this key and at this revision.
    Another(String, Revision),
    /// It does not know any more.
    Forgotten,
}

async fn past(client: &Client, from: &Position) -> Result<Past, etcd_client::Error> {
    let Some((witness, at)) = from.question() else { return Ok(Past::Same) };
    let options = GetOptions::new().with_revision(at);
    match client.kv_client().get(witness.key.as_str(), Some(options)).await {
        Ok(answer) if answer.kvs().first().map(entry).as_ref() == Some(witness) => Ok(Past::Same),
        Ok(_) => Ok(Past::Another(witness.key.clone(), at)),
        Err(error) if fault::is_out_of_range(&error) => Ok(Past::Forgotten),
        Err(error) => Err(error),
    }
}

async fn run(etcd: &Etcd, prefix: &str, mut watch: Box<WatchStream>, known: Revision) -> Next {
    let message = tokio::select! {
        message = watch.message() => message,
        given_up = etcd.given_up() => return failed(prefix, given_up),
    };
    let response = match message {
        Ok(Some(response)) => response,
        Ok(None) => {
            etcd.pass_over();
            return failed(prefix, closed());
        }
        Err(error) => {
            etcd.pass_over();
            return failed(prefix, fault::of(&error));
        }
    };
    if let Some(end) = end_of(prefix, &response) {
        // A member that has lost its leader ends watches, and would begin the next one.
        etcd.pass_over();
        return end;
    }
    let changes: Vec<Change> = response.events().iter().filter_map(change).collect();
    let last = changes.iter().map(Change::revision).max();
    // Without changes it is a notification of progress: everything up to here was told.
    let revision = last.unwrap_or_else(|| revision_of(response.header())).max(known);
    Some((Ok(Event::Changes { revision, changes }), State::Running { watch, known: revision }))
}

/// Whether, and how, a response ends the watch.
fn end_of(prefix: &str, response: &WatchResponse) -> Option<Next> {
    if response.compact_revision() != 0 {
        let until = response.compact_revision();
        return Some(resync(format!("etcd has no changes from before revision {until} any more")));
    }
    response.canceled().then(|| failed(prefix, fault::of_watch(response.cancel_reason())))
}

fn resync(reason: String) -> Next {
    Some((Ok(Event::Resync(reason)), State::Ended))
}

fn failed(prefix: &str, fault: Fault) -> Next {
    Some((Err(Error::new(format_args!("watch {prefix}"), fault)), State::Ended))
}

fn closed() -> Fault {
    Fault::Unreachable("etcd closed the watch".to_owned())
}

fn change(event: &etcd_client::Event) -> Option<Change> {
    let entry = entry(event.kv()?);
    Some(match event.event_type() {
        EventType::Put => Change::Put(entry),
        EventType::Delete => Change::Deleted { key: entry.key, revision: entry.mod_revision },
    })
}
