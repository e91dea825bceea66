//! End-to-end tests: hosts made of network namespaces, with real programs in them.
