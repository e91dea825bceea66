//! The only crate that talks to Linux: rtnetlink, nf_tables, conntrack, namespaces, sysctls.
