//! What netd's clients and netd say to each other.
