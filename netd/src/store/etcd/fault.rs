//! What an error of the client library means.

use std::error::Error as _;

use cni::ErrorChain;

use crate::store::{Fault, Session};

/// The codes of gRPC that mean something here.
///
/// Source: <https://grpc.github.io/grpc/core/md_doc_statuscodes.html>; etcd
/// `api/v3rpc/rpctypes/error.go`.
mod code {
    pub(super) const CANCELLED: i32 = 1;
    pub(super) const UNKNOWN: i32 = 2;
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const DEADLINE_EXCEEDED: i32 = 4;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const PERMISSION_DENIED: i32 = 7;
    pub(super) const OUT_OF_RANGE: i32 = 11;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

pub(super) fn of(error: &etcd_client::Error) -> Fault {
    use etcd_client::Error as E;
    match error {
        E::GRpcStatus(status) => {
            let message = match status.source() {
                Some(source) => chain(status.message(), source),
                None => status.message().to_owned(),
            };
            of_status(status.code().into(), message, status.source().is_some())
        }
        E::TransportError(error) => Fault::Invalid(ErrorChain(error).to_string()),
        E::InvalidArgs(text) => Fault::Invalid(text.clone()),
        E::InvalidUri(error) => Fault::Invalid(error.to_string()),
        E::LeaseKeepAliveError(_) => Fault::SessionGone(Session(0)),
        E::IoError(_)
        | E::WatchError(_)
        | E::EndpointError(_)
        | E::EndpointsNotManaged
        | E::Internal(_) => Fault::Unreachable(error.to_string()),
        E::Utf8Error(_) | E::ElectError(_) | E::InvalidMetadataValue(_) => {
            Fault::Refused(error.to_string())
        }
    }
}

/// Whether etcd does not know what is asked for, as it is of a revision that was compacted or has
/// never been.
pub(super) fn is_out_of_range(error: &etcd_client::Error) -> bool {
    let etcd_client::Error::GRpcStatus(status) = error else { return false };
    i32::from(status.code()) == code::OUT_OF_RANGE
}

/// What a status means. One with a source comes from the connection, not from etcd.
fn of_status(code: i32, message: String, of_connection: bool) -> Fault {
    if of_connection {
        return Fault::Unreachable(message);
    }
    let of_user = ["user name is empty", "authentication failed"];
    match code {
        code::INVALID_ARGUMENT if message.contains(of_user[0]) => Fault::Unauthenticated(
            "etcd wants to know who asks: give --etcd-username and --etcd-password".to_owned(),
        ),
        code::INVALID_ARGUMENT if message.contains(of_user[1]) => Fault::Unauthenticated(
            "etcd does not know this user and password: see --etcd-username and --etcd-password"
                .to_owned(),
        ),
        // A token from before a change of users or roles.
        code::INVALID_ARGUMENT if message.contains("auth store is old") => {
            Fault::Unreachable(message)
        }
        code::UNAUTHENTICATED => Fault::Unauthenticated(message),
        code::PERMISSION_DENIED => Fault::PermissionDenied(message),
        code::NOT_FOUND if message.contains("lease not found") => Fault::SessionGone(Session(0)),
        code::CANCELLED | code::UNKNOWN | code::DEADLINE_EXCEEDED | code::UNAVAILABLE => {
            Fault::Unreachable(message)
        }
        _ => Fault::Refused(message),
    }
}

/// What the server says when it ends a watch: the text of a status.
pub(super) fn of_watch(reason: &str) -> Fault {
    if reason.contains("permission denied") {
        return Fault::PermissionDenied(reason.to_owned());
    }
    if reason.contains("invalid auth token") || reason.contains("user name is empty") {
        return Fault::Unauthenticated(reason.to_owned());
    }
    Fault::Unreachable(format!("etcd ended the watch: {reason}"))
}

/// A message and its causes, in which each cause repeats the one below it, and the last words of
/// the message may be the first of the causes.
fn chain(message: &str, source: &(dyn std::error::Error + 'static)) -> String {
    let causes = ErrorChain(source).to_string();
    let last = message.rsplit(": ").next().unwrap_or_default();
    if message.is_empty() || causes.contains(message) {
        causes
    } else if message.contains(&causes) {
        message.to_owned()
    } else {
        let rest = causes.strip_prefix(last).map(str::to_owned);
        format!("{message}{}", rest.unwrap_or_else(|| format!(": {causes}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Cause(&'static str);

    #[test]
    fn a_chain_repeats_nothing() {
        let cause = Cause("read a body: broken pipe");
        assert_eq!(chain("h2: read a body", &cause), "h2: read a body: broken pipe");
        assert_eq!(chain("h2", &cause), "h2: read a body: broken pipe");
        assert_eq!(chain("h2: read a body: broken pipe", &cause), "h2: read a body: broken pipe");
        assert_eq!(chain("broken pipe", &cause), "read a body: broken pipe");
    }
}
