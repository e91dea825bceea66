//! `alloc`: a subnet for this host, and nobody is connected with anybody.

use crate::lease::LeaseValue;

/// Nothing is added: flannel writes no type for it, either.
pub(super) fn publish(value: &mut LeaseValue) {
    value.backend_type.clear();
}
